//! Items as JSON, in two forms.
//!
//! | attribute value | plain | typed (DynamoDB JSON) |
//! |---|---|---|
//! | string | `"TXL"` | `{"S": "TXL"}` |
//! | number | `1.50` | `{"N": "1.50"}` |
//! | binary | `"3q0="`, written only | `{"B": "3q0="}` |
//! | boolean, null | `true`, `null` | `{"BOOL": true}`, `{"NULL": true}` |
//! | map, list | `{"a": 1}`, `[1]` | `{"M": {"a": {"N": "1"}}}`, `{"L": [{"N": "1"}]}` |
//! | sets | `["a"]`, written only | `{"SS": ["a"]}`, `{"NS": ["1"]}`, `{"BS": ["3q0="]}` |
//!
//! Numbers are never floating point on their way: serde_json keeps their text (`arbitrary_precision`).

use serde_json::{Map, Value};

use super::{Error, base64};
use crate::model::{self, AttributeName, AttributeValue, Item, Number};

/// Which of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As people write it.
    Plain,
    /// With the type of each value.
    Typed,
}

impl Form {
    /// The form by the flag `--dynamodb-json`.
    pub fn of(dynamodb_json: bool) -> Self {
        if dynamodb_json { Self::Typed } else { Self::Plain }
    }

    /// The item a text stands for.
    pub fn parse(self, text: &str) -> Result<Item, Error> {
        let value =
            serde_json::from_str(text).map_err(|error| Error::Invalid(format!("not JSON: {error}")))?;
        self.item(value)
    }

    /// The item a JSON object stands for.
    pub fn item(self, value: Value) -> Result<Item, Error> {
        let Value::Object(object) = value else {
            return Err(Error::Invalid("an item is a JSON object".into()));
        };
        let attribute = |(name, value): (String, Value)| {
            let value =
                self.value(value).map_err(|error| Error::Invalid(format!("attribute {name}: {error}")))?;
            Ok((parse_name(&name)?, value))
        };
        object.into_iter().map(attribute).collect()
    }

    /// The attribute value a JSON value stands for.
    pub fn value(self, value: Value) -> Result<AttributeValue, Error> {
        match self {
            Self::Plain => from_plain(value),
            Self::Typed => from_typed(value),
        }
    }

    /// The JSON object for an item.
    pub fn write(self, item: &Item) -> Value {
        let attributes = item.iter().map(|(name, value)| {
            let value = match self {
                Self::Plain => to_plain(value),
                Self::Typed => to_typed(value),
            };
            (name.to_string(), value)
        });
        Value::Object(attributes.collect())
    }
}

fn from_plain(value: Value) -> Result<AttributeValue, Error> {
    Ok(match value {
        Value::Null => AttributeValue::Null,
        Value::Bool(value) => AttributeValue::Bool(value),
        Value::Number(number) => AttributeValue::N(parse_number(number.as_str())?),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => {
            AttributeValue::L(values.into_iter().map(from_plain).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => {
            let member = |(name, value): (String, Value)| Ok((parse_name(&name)?, from_plain(value)?));
            AttributeValue::M(object.into_iter().map(member).collect::<Result<_, Error>>()?)
        }
    })
}

fn to_plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(number) => plain_number(number),
        AttributeValue::B(bytes) => Value::String(base64::encode(bytes)),
        AttributeValue::Bool(value) => Value::Bool(*value),
        AttributeValue::Null => Value::Null,
        AttributeValue::M(map) => {
            Value::Object(map.iter().map(|(name, value)| (name.to_string(), to_plain(value))).collect())
        }
        AttributeValue::L(list) => Value::Array(list.iter().map(to_plain).collect()),
        AttributeValue::Ss(set) => set.iter().cloned().map(Value::String).collect(),
        AttributeValue::Ns(set) => set.iter().map(plain_number).collect(),
        AttributeValue::Bs(set) => set.iter().map(|bytes| Value::String(base64::encode(bytes))).collect(),
    }
}

/// A number as JSON: its canonical text is one.
fn plain_number(number: &Number) -> Value {
    let text = number.to_string();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn from_typed(value: Value) -> Result<AttributeValue, Error> {
    let wrong = || Error::Invalid("a typed value is an object with one member, named after its type".into());
    let Value::Object(object) = value else { return Err(wrong()) };
    let mut members = object.into_iter();
    let (Some((kind, value)), None) = (members.next(), members.next()) else { return Err(wrong()) };
    let refused = || Error::Invalid(format!("that is no value of type {kind}"));
    Ok(match (kind.as_str(), value) {
        ("S", Value::String(text)) => AttributeValue::S(text),
        ("N", Value::String(text)) => AttributeValue::N(parse_number(&text)?),
        ("B", Value::String(text)) => AttributeValue::B(base64::decode(&text).ok_or_else(refused)?.into()),
        ("BOOL", Value::Bool(value)) => AttributeValue::Bool(value),
        ("NULL", Value::Bool(true)) => AttributeValue::Null,
        ("M", Value::Object(object)) => {
            let member = |(name, value): (String, Value)| Ok((parse_name(&name)?, from_typed(value)?));
            AttributeValue::M(object.into_iter().map(member).collect::<Result<_, Error>>()?)
        }
        ("L", Value::Array(values)) => {
            AttributeValue::L(values.into_iter().map(from_typed).collect::<Result<_, _>>()?)
        }
        ("SS", Value::Array(values)) => {
            AttributeValue::string_set(texts(values).ok_or_else(refused)?).map_err(invalid)?
        }
        ("NS", Value::Array(values)) => {
            let numbers = texts(values).ok_or_else(refused)?;
            let numbers = numbers.iter().map(|text| parse_number(text)).collect::<Result<_, _>>()?;
            AttributeValue::number_set(numbers).map_err(invalid)?
        }
        ("BS", Value::Array(values)) => {
            let members = texts(values).ok_or_else(refused)?;
            let members =
                members.iter().map(|text| base64::decode(text).map(Into::into)).collect::<Option<_>>();
            AttributeValue::binary_set(members.ok_or_else(refused)?).map_err(invalid)?
        }
        _ => return Err(refused()),
    })
}

fn to_typed(value: &AttributeValue) -> Value {
    let inner = match value {
        AttributeValue::S(text) => Value::String(text.clone()),
        AttributeValue::N(number) => Value::String(number.to_string()),
        AttributeValue::B(bytes) => Value::String(base64::encode(bytes)),
        AttributeValue::Bool(value) => Value::Bool(*value),
        AttributeValue::Null => Value::Bool(true),
        AttributeValue::M(map) => {
            Value::Object(map.iter().map(|(name, value)| (name.to_string(), to_typed(value))).collect())
        }
        AttributeValue::L(list) => Value::Array(list.iter().map(to_typed).collect()),
        AttributeValue::Ss(set) => set.iter().cloned().map(Value::String).collect(),
        AttributeValue::Ns(set) => set.iter().map(|number| Value::String(number.to_string())).collect(),
        AttributeValue::Bs(set) => set.iter().map(|bytes| Value::String(base64::encode(bytes))).collect(),
    };
    let mut object = Map::new();
    object.insert(value.type_name().to_owned(), inner);
    Value::Object(object)
}

fn texts(values: Vec<Value>) -> Option<Vec<String>> {
    let text = |value| if let Value::String(text) = value { Some(text) } else { None };
    values.into_iter().map(text).collect()
}

fn parse_name(text: &str) -> Result<AttributeName, Error> {
    AttributeName::parse(text).map_err(invalid)
}

fn parse_number(text: &str) -> Result<Number, Error> {
    Number::parse(text).map_err(|error| Error::Invalid(format!("{text}: {error}")))
}

fn invalid(error: model::Error) -> Error {
    Error::Invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(form: Form, text: &str) -> String {
        form.write(&form.parse(text).expect("a good item")).to_string()
    }

    #[test]
    fn plain_items_survive() {
        for text in [
            "{}",
            r#"{"iata":"TXL","name":"Tegel \"Otto\"","open":false,"none":null}"#,
            r#"{"deep":{"list":[1,"a",[true,{}]],"empty":[]}}"#,
            r#"{"n":12345678901234567890123456789012345678}"#,
            r#"{"n":0.1234567890123456789012345678901234567}"#,
            r#"{"n":-1}"#,
        ] {
            assert_eq!(
                serde_json::from_str::<Value>(&through(Form::Plain, text)).ok(),
                serde_json::from_str(text).ok()
            );
        }
        assert_eq!(through(Form::Plain, r#"{"n":1.50e2}"#), r#"{"n":150}"#);
    }

    #[test]
    fn typed_items_survive() {
        for text in [
            r#"{"a":{"S":""}}"#,
            r#"{"a":{"N":"12345678901234567890123456789012345678"}}"#,
            r#"{"a":{"B":"3q0="}}"#,
            r#"{"a":{"BOOL":true},"b":{"NULL":true}}"#,
            r#"{"a":{"M":{"x":{"L":[{"N":"1"},{"S":"y"}]}}}}"#,
            r#"{"a":{"SS":["x","y"]},"b":{"NS":["1","2"]},"c":{"BS":["3q0="]}}"#,
        ] {
            assert_eq!(through(Form::Typed, text), text);
        }
    }

    #[test]
    fn numbers_lose_no_digit_and_too_many_are_refused() {
        let item = Form::Plain.parse(r#"{"n":99999999999999999999999999999999999999}"#).expect("38 digits");
        let number = Number::parse("99999999999999999999999999999999999999").expect("38 digits");
        assert_eq!(item.get("n"), Some(&AttributeValue::N(number)));
        let error =
            Form::Plain.parse(r#"{"n":999999999999999999999999999999999999999}"#).expect_err("39 digits");
        assert!(error.to_string().contains("38 significant digits"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for bad in ["", "[]", "1", r#"{"a":"#, r#"{"":1}"#] {
            assert!(Form::Plain.parse(bad).is_err(), "{bad}");
        }
        for bad in [
            r#"{"a":1}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"S":1}}"#,
            r#"{"a":{"N":1}}"#,
            r#"{"a":{"N":"x"}}"#,
            r#"{"a":{"B":"!"}}"#,
            r#"{"a":{"NULL":false}}"#,
            r#"{"a":{"SS":[]}}"#,
            r#"{"a":{"SS":["x","x"]}}"#,
            r#"{"a":{"S":"x","N":"1"}}"#,
            r#"{"a":{"X":"x"}}"#,
        ] {
            assert!(Form::Typed.parse(bad).is_err(), "{bad}");
        }
    }
}
