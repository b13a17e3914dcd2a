//! A value inside of a JSON document, by its path (`address.city`, `tags.3`), as parts of documents
//! name it.

use serde_json::{Map, Value};

/// Gives `change` what is at a path below `at`. Objects on the way that are missing are made if it
/// puts something there; a list keeps its places, as the database's does.
pub fn edit(at: &mut Option<Value>, path: &[&str], change: &mut dyn FnMut(&mut Option<Value>)) {
    let Some((name, rest)) = path.split_first() else { return change(at) };
    if let (Some(Value::Array(list)), Ok(index)) = (&mut *at, name.parse::<usize>()) {
        let mut value = list.get_mut(index).map(Value::take);
        edit(&mut value, rest, change);
        if value.is_some() && index >= list.len() {
            list.resize(index + 1, Value::Null);
        }
        if let Some(place) = list.get_mut(index) {
            *place = value.unwrap_or_default();
        }
        return;
    }
    if let Some(Value::Object(object)) = at {
        let mut value = object.remove(*name);
        edit(&mut value, rest, change);
        value.into_iter().for_each(|value| drop(object.insert((*name).to_owned(), value)));
        return;
    }
    let mut value = None;
    edit(&mut value, rest, change);
    if let Some(value) = value {
        *at = Some(Value::Object(Map::from_iter([((*name).to_owned(), value)])));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(document: Value, path: &str, value: Option<Value>) -> Value {
        let mut at = Some(document);
        let names: Vec<_> = path.split('.').collect();
        edit(&mut at, &names, &mut |place| place.clone_from(&value));
        at.expect("the document stays")
    }

    #[test]
    fn a_path_leads_through_objects_and_lists_and_makes_only_what_is_put() {
        let document = || json!({"a": {"b": 1}, "list": [1, {"c": 2}]});
        assert_eq!(put(document(), "a.b", Some(json!(7)))["a"], json!({"b": 7}));
        assert_eq!(put(document(), "x.y", Some(json!(7)))["x"], json!({"y": 7}));
        assert_eq!(put(document(), "list.1.c", Some(json!(7)))["list"], json!([1, {"c": 7}]));
        assert_eq!(put(document(), "list.3", Some(json!(7)))["list"][2], Value::Null);
        assert_eq!(put(document(), "list.0", None)["list"], json!([null, {"c": 2}]));
        assert_eq!(put(document(), "a.b", None)["a"], json!({}));
        assert_eq!(put(document(), "x.y", None), document());
        assert_eq!(put(document(), "a.b.c", None), document());
    }
}
