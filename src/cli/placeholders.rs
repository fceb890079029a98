//! What `#names` and `:values` of expressions stand for, and updates put together from small clauses.

use serde_json::Value;

use super::Error;
use super::json::Form;
use crate::client::Expression;

/// The placeholders of a command; all its expressions share them.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Placeholders {
    /// The attribute a '#NAME' of the expressions stands for; repeatable.
    #[arg(long = "name", value_name = "#NAME=ATTRIBUTE")]
    names: Vec<String>,
    /// What a ':VALUE' of the expressions stands for, as JSON; repeatable.
    #[arg(long = "value", value_name = ":VALUE=JSON")]
    values: Vec<String>,
}

/// Texts of expressions made into expressions, each with all placeholders of the command.
#[derive(Debug)]
pub(super) struct Expressions {
    placeholders: Expression,
}

impl Placeholders {
    /// Reads them. Errors: `Invalid`, also if there are any but no expression to use them.
    pub fn read(&self, form: Form, used: bool) -> Result<Expressions, Error> {
        let mut placeholders = Expression::default();
        for text in &self.names {
            let (key, name) = pair("--name", text)?;
            placeholders = placeholders.name(with_sign('#', key), name);
        }
        for text in &self.values {
            let (key, value) = pair("--value", text)?;
            let value = json(value).map_err(|why| Error::Invalid(format!("--value {text}: {why}")))?;
            placeholders = placeholders.value(with_sign(':', key), form.value(value)?);
        }
        if !used && placeholders != Expression::default() {
            return Err(Error::Invalid("--name and --value are for expressions, and there is none".into()));
        }
        Ok(Expressions { placeholders })
    }
}

impl Expressions {
    /// The expression of a text.
    pub fn of(&self, text: impl Into<String>) -> Expression {
        Expression { text: text.into(), ..self.placeholders.clone() }
    }

    /// The update that has these clauses; `None` if there are none. Of a clause `PATH=VALUE` the value is JSON, or else
    /// taken as an expression: what is JSON is no expression, as `true`, `false` and `null` are reserved words. Names in
    /// paths may be reserved words.
    pub fn update(&self, form: Form, set: &[String], remove: &[String]) -> Result<Option<Expression>, Error> {
        let mut update = self.of("");
        for (at, text) in set.iter().enumerate() {
            let (path, value) = pair("--set", text)?;
            update.text += if at == 0 { "SET " } else { ", " };
            let path = plain_path(&mut update, path);
            let value = match json(value) {
                Ok(value) => {
                    let placeholder = format!(":set{at}");
                    update = update.value(placeholder.as_str(), form.value(value)?);
                    placeholder
                }
                Err(why) if value.is_empty() || value.starts_with(['"', '{', '[', '\'']) => {
                    return Err(Error::Invalid(format!("--set {text}: {why}")));
                }
                Err(_) => value.to_owned(),
            };
            update.text += &format!("{path} = {value}");
        }
        for (at, path) in remove.iter().enumerate() {
            update.text += match at {
                0 if set.is_empty() => "REMOVE ",
                0 => " REMOVE ",
                _ => ", ",
            };
            let path = plain_path(&mut update, path.trim());
            update.text += &path;
        }
        Ok((!update.text.is_empty()).then_some(update))
    }
}

/// A path in which names are placeholders, so that they may be any words.
fn plain_path(update: &mut Expression, path: &str) -> String {
    let steps = path.split('.').map(|step| {
        let (name, indexes) = step.find('[').map_or((step, ""), |at| step.split_at(at));
        if name.is_empty() || name.starts_with('#') {
            return step.to_owned(); // already one, or for the cluster to refuse
        }
        let placeholder = format!("#path{}", update.names.len());
        update.names.insert(placeholder.clone(), name.to_owned());
        format!("{placeholder}{indexes}")
    });
    let steps: Vec<String> = steps.collect();
    steps.join(".")
}

fn pair<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str), Error> {
    let parts = text.split_once('=').map(|(left, right)| (left.trim(), right.trim()));
    let parts = parts.filter(|(left, _)| !left.is_empty());
    parts.ok_or_else(|| {
        Error::Invalid(format!("{flag} {text}: there must be something on both sides of a '='"))
    })
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("the value is not JSON ({error}); strings need quotes: '\"text\"'"))
}

/// A placeholder with its sign, which shells make it hard to write.
fn with_sign(sign: char, key: &str) -> String {
    if key.starts_with(sign) { key.to_owned() } else { format!("{sign}{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AttributeValue;

    fn read(names: &[&str], values: &[&str]) -> Result<Expressions, Error> {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Placeholders { names: texts(names), values: texts(values) }.read(Form::Plain, true)
    }

    fn update(set: &[&str], remove: &[&str]) -> Result<Option<Expression>, Error> {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        read(&["#n=name"], &[":one=1"])?.update(Form::Plain, &texts(set), &texts(remove))
    }

    #[test]
    fn placeholders_come_with_and_without_sign() {
        let expression =
            read(&["#a=x=y", "b=z"], &[":v=\"a=b\"", "w= 1"]).expect("good placeholders").of("#a = :v");
        assert_eq!(expression.text, "#a = :v");
        assert_eq!(expression.names, [("#a".into(), "x=y".into()), ("#b".into(), "z".into())].into());
        let (text, one) = (AttributeValue::S("a=b".into()), AttributeValue::N(1u64.into()));
        assert_eq!(expression.values, [(":v".into(), text), (":w".into(), one)].into());
        for (names, values) in [(&["#a"][..], &[][..]), (&["=a"], &[]), (&[], &[":v"]), (&[], &[":v=text"])] {
            assert_eq!(read(names, values).expect_err("bad placeholders").exit_code(), 2);
        }
        let unused = Placeholders { names: vec!["#a=b".into()], values: vec![] };
        assert_eq!(unused.read(Form::Plain, false).expect_err("unused").exit_code(), 2);
    }

    #[test]
    fn clauses_are_json_or_expressions() {
        let set = ["status=\"x=y\"", "n = n + :one", "at.place[2] = null", "#n=if_not_exists(#n, :one)"];
        let update = update(&set, &["size", "at.zone"]).expect("good clauses").expect("an update");
        assert_eq!(
            update.text,
            "SET #path1 = :set0, #path2 = n + :one, #path3.#path4[2] = :set2, #n = if_not_exists(#n, :one) \
             REMOVE #path5, #path6.#path7"
        );
        let named = |key: &str| update.names.get(key).map(String::as_str);
        assert_eq!(
            (named("#path1"), named("#path4"), named("#path5")),
            (Some("status"), Some("place"), Some("size"))
        );
        assert_eq!(update.values.get(":set0"), Some(&AttributeValue::S("x=y".into())));
        assert_eq!(update.values.get(":set2"), Some(&AttributeValue::Null));
        assert_eq!(update.values.len(), 3);
    }

    #[test]
    fn few_clauses_and_none() {
        assert_eq!(update(&[], &["a"]).expect("a clause").expect("an update").text, "REMOVE #path1");
        assert_eq!(update(&[], &[]).expect("nothing"), None);
        for bad in ["a", "a=", "=1", "a=\"text", "a={", "a='text'"] {
            assert_eq!(update(&[bad], &[]).expect_err("a bad clause").exit_code(), 2, "{bad}");
        }
    }
}
