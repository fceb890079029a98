"""Random expressions that are right by their grammar; whether their types fit is left to chance."""

import values

PLAIN = ["aa", "bb", "cc", "nn", "ss", "ll", "mm", "set1", "set2", "bin", "flag"]
COMPARATORS = ["=", "<>", "<", "<=", ">", ">="]


class Expression:
    """The expressions of one request, with the names and values they refer to."""

    def __init__(self, rng):
        self.rng, self.names, self.values = rng, {}, {}

    def parameters(self):
        """The members of the request that go with the expressions."""
        members = {}
        if self.names:
            members["ExpressionAttributeNames"] = self.names
        if self.values:
            members["ExpressionAttributeValues"] = self.values
        return members

    def name(self, text):
        """A reference to a name."""
        for known, meaning in self.names.items():
            if meaning == text:
                return known
        key = f"#{self.rng.choice(['n', 'N_', '0', 'long' * 20])}{len(self.names)}"
        self.names[key] = text
        return key

    def value(self, tree=None):
        """A reference to a value."""
        if tree is None:
            while True:
                try:
                    tree = values.value(self.rng, 2)
                    values.canonical(tree)
                    break
                except (values.Invalid, values.Unsure):
                    continue
        key = f":{self.rng.choice(['v', 'V_', '0'])}{len(self.values)}"
        self.values[key] = tree
        return key

    def path(self, depth=3, avoid=()):
        """A document path."""
        rng = self.rng
        top = rng.choice([name for name in values.NAMES if name not in avoid])
        text = top if top in PLAIN and rng.random() < 0.6 else self.name(top)
        while depth > 0 and rng.random() < 0.35:
            depth -= 1
            if rng.random() < 0.4:
                text += self.gap("[") + str(rng.choice([0, 0, 1, 2, 7, 2**31 - 1])) + "]"
            else:
                text += "." + (rng.choice(PLAIN) if rng.random() < 0.5 else self.name(values.name(rng)))
        return text

    def gap(self, token):
        """A token with white space around it, now and then."""
        return self.rng.choice(["", "", "", " ", "\t", "\n", "\r\n"]) + token

    def keyword(self, text):
        """A keyword in any case."""
        return self.rng.choice([text, text.lower(), text.capitalize()])

    def operand(self):
        """What may be compared."""
        kind = self.rng.random()
        if kind < 0.45:
            return self.path()
        return self.value() if kind < 0.9 else f"size({self.path()})"

    def condition(self, depth=3):
        """A condition."""
        rng = self.rng
        if depth > 0 and rng.random() < 0.45:
            kind = rng.randrange(4)
            if kind == 0:
                return f"{self.keyword('NOT')} {self.condition(depth - 1)}"
            if kind == 1:
                return f"({self.condition(0)})"
            return f"{self.condition(depth - 1)} {self.keyword(rng.choice(['AND', 'OR']))} {self.condition(depth - 1)}"
        kind = rng.randrange(10)
        if kind < 4:
            return f"{self.operand()}{self.gap(rng.choice(COMPARATORS))}{self.gap(self.operand())}"
        if kind == 4:
            return f"{self.path()} {self.keyword('BETWEEN')} {self.operand()} {self.keyword('AND')} {self.operand()}"
        if kind == 5:
            many = ", ".join(self.operand() for _ in range(rng.randrange(1, 5)))
            return f"{self.operand()} {self.keyword('IN')} ({many})"
        if kind == 6:
            return f"{rng.choice(['attribute_exists', 'attribute_not_exists'])}({self.path()})"
        if kind == 7:
            return f"attribute_type({self.path()}, {self.value({'S': rng.choice('S N B SS NS BS M L NULL BOOL'.split())})})"
        if kind == 8:
            prefix = self.value(rng.choice([{"S": "a"}, {"B": "/w=="}, {"S": ""}]))
            return f"begins_with({self.path()}, {prefix})"
        return f"contains({self.path()}, {self.operand()})"

    def projection(self, avoid=()):
        """Paths that do not overlap."""
        tops = self.rng.sample([name for name in values.NAMES if name not in avoid], self.rng.randrange(1, 5))
        return self.gap(",").join(self.below(top) for top in tops)

    def below(self, top):
        """A path under one attribute."""
        text = top if top in PLAIN and self.rng.random() < 0.6 else self.name(top)
        for _ in range(self.rng.choice([0, 0, 0, 0, 0, 1, 2])):
            step = self.rng.choice(["[0]", "[1]", ".aa", None])
            text += step or "." + self.name("a.b")
        return text

    def set_value(self, is_inner=False):
        """The right side of a SET, or an operand inside it."""
        rng, kind = self.rng, 9 if is_inner else self.rng.randrange(8)
        if kind == 0:
            return f"if_not_exists({self.path()}, {self.set_value(True)})"
        if kind == 1:
            return f"list_append({self.below('ll')}, {self.value({'L': [values.value(rng, 1)]})})"
        if kind == 2:
            return f"if_not_exists(nn, {self.value({'N': '1'})}) {rng.choice('+-')} {self.value({'N': values.number(rng)})}"
        return self.path() if rng.random() < 0.15 else self.value()

    def update(self):
        """An update; each attribute is touched once."""
        rng = self.rng
        tops = rng.sample(values.NAMES, rng.choice([1, 1, 2, 3, 6]))
        clauses = {}
        for top in tops:
            kind = rng.choice(["SET"] * 4 + ["REMOVE", "ADD", "DELETE"])
            clauses.setdefault(kind, []).append(self.action(kind, top))
        order = list(clauses)
        rng.shuffle(order)
        return " ".join(f"{self.keyword(kind)} {self.gap(', ').join(clauses[kind])}" for kind in order)

    def action(self, kind, top):
        """One action of a clause."""
        rng = self.rng
        if kind == "SET":
            return f"{self.below(top)}{self.gap('=')} {self.set_value()}"
        if kind == "REMOVE":
            return self.below(top)
        sets = [{"SS": ["a", "b"]}, {"NS": ["1", "2.50", "-0"]}, {"BS": ["AA==", "/w=="]}]
        tree = {"N": values.number(rng)} if kind == "ADD" and rng.random() < 0.5 else rng.choice(sets)
        return f"{self.below(top)} {self.value(tree)}"

    def key_condition(self, table, key):
        """A condition on the key of a table, of the partition of a given key."""
        rng = self.rng
        parts = [f"{table.hash} = {self.value(key[table.hash])}"]
        if table.range and rng.random() < 0.7:
            bound = lambda: self.value(table.range_value(rng))
            kind = rng.randrange(5)
            if kind < 3:
                parts.append(f"{table.range} {rng.choice(['=', '<', '<=', '>', '>='])} {bound()}")
            elif kind == 3:
                low, high = table.range_value(rng), table.range_value(rng)
                parts.append(f"{table.range} BETWEEN {self.value(low)} AND {self.value(high)}")
            elif table.kinds[table.range] != "N":
                parts.append(f"begins_with({table.range}, {bound()})")
        rng.shuffle(parts)
        return f" {self.keyword('AND')} ".join(parts)
