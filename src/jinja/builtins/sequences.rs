//! Jinja2's filters on sequences.

use minijinja::value::Kwargs;
use minijinja::{Error, State, Value};

use super::{FILTERS, TESTS};
use crate::python::access::item;
use crate::python::arguments::{bind, split};
use crate::python::arithmetic::add;
use crate::python::compare::{self, compare, equal};
use crate::python::exception::{exception, type_error, unsupported};
use crate::python::limits::fits;
use crate::python::objects::{Generator, Group};
use crate::python::repr;
use crate::python::value::{Dict, Py, hashable, index, iter, list, py, text, tuple, type_name};

/// Applies the filter `name`; returns `None` for a name that is not here.
pub(super) fn filter(
    state: &mut State<'_, '_>,
    name: &str,
    args: &[Value],
) -> Option<Result<Value, Error>> {
    Some(match name {
        "list" => one(name, args).and_then(|v| iter(&v)).map(list),
        "first" => one(name, args).and_then(|v| first(&v)),
        "last" => one(name, args).and_then(|v| last(&v)),
        "reverse" => one(name, args).and_then(|v| reverse(&v)),
        "items" => one(name, args).map(|v| items(&v)),
        "join" => join(args),
        "sort" => sort(args),
        "dictsort" => dict_sort(args),
        "unique" => unique(args),
        "min" | "max" => extreme(name, args),
        "sum" => sum(args),
        "batch" => batch(args),
        "slice" => slices(args),
        "groupby" => group_by(args),
        "map" => map(state, args),
        "select" | "reject" | "selectattr" | "rejectattr" => select(state, name, args),
        _ => return None,
    })
}

fn one(name: &str, args: &[Value]) -> Result<Value, Error> {
    bind(name, args, ["value"], 1).map(|[value]| value.unwrap_or_default())
}

fn is_true(value: Option<Value>) -> bool {
    value.is_some_and(|v| v.is_true())
}

fn first(value: &Value) -> Result<Value, Error> {
    match py(value) {
        Py::Generator(generator) => Ok(generator.next()?.unwrap_or_default()),
        Py::List(items) | Py::Tuple(items) => Ok(items.first().cloned().unwrap_or_default()),
        _ => Ok(iter(value)?.into_iter().next().unwrap_or_default()),
    }
}

fn last(value: &Value) -> Result<Value, Error> {
    match py(value) {
        Py::Generator(_) => Err(type_error("'generator' object is not reversible")),
        Py::List(items) | Py::Tuple(items) => Ok(items.last().cloned().unwrap_or_default()),
        _ => Ok(iter(value)?.pop().unwrap_or_default()),
    }
}

fn reverse(value: &Value) -> Result<Value, Error> {
    let mut items =
        iter(value).map_err(|_| exception("FilterArgumentError", "argument must be iterable"))?;
    items.reverse();
    Ok(match py(value) {
        Py::Str(text) => Value::from(text.chars().rev().collect::<String>()),
        Py::Generator(_) => list(items),
        _ => Generator::value(Ok(items)),
    })
}

fn items(value: &Value) -> Value {
    Generator::value(match py(value) {
        Py::Undefined => Ok(Vec::new()),
        Py::Dict(dict) => Ok(dict
            .iter()
            .map(|(k, v)| tuple(vec![k.clone(), v.clone()]))
            .collect()),
        _ => Err(type_error("Can only get item pairs from a mapping.")),
    })
}

/// The path that `attribute=` names: keys, of which some are numbers.
struct Path {
    parts: Vec<Value>,
    default: Option<Value>,
    ignore_case: bool,
}

impl Path {
    fn new(
        attribute: Option<&Value>,
        default: Option<Value>,
        ignore_case: bool,
    ) -> Result<Self, Error> {
        let parts = match attribute.map(py) {
            None | Some(Py::None) => Vec::new(),
            Some(Py::Str(path)) => path.split('.').map(part).collect(),
            Some(Py::Int(_)) => attribute.cloned().into_iter().collect(),
            Some(_) => return Err(unsupported("this kind of attribute")),
        };
        Ok(Self {
            parts,
            default: default.filter(|d| !d.is_none()),
            ignore_case,
        })
    }

    fn get(&self, of: &Value) -> Result<Value, Error> {
        let mut value = of.clone();
        for part in &self.parts {
            value = item(&value, part)?;
            if let (true, Some(default)) = (value.is_undefined(), &self.default) {
                value = default.clone();
            }
        }
        Ok(if self.ignore_case {
            lower(value)
        } else {
            value
        })
    }
}

fn part(name: &str) -> Value {
    let is_number = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    name.parse::<i64>()
        .ok()
        .filter(|_| is_number)
        .map_or_else(|| Value::from(name), Value::from)
}

fn lower(value: Value) -> Value {
    match value.as_str() {
        Some(text) => Value::from(text.to_lowercase()),
        None => value,
    }
}

/// Each item with its key.
fn keyed(items: Vec<Value>, path: &Path) -> Result<Vec<(Value, Value)>, Error> {
    items
        .into_iter()
        .map(|item| Ok((path.get(&item)?, item)))
        .collect()
}

fn join(args: &[Value]) -> Result<Value, Error> {
    let [value, separator, attribute] = bind("join", args, ["value", "d", "attribute"], 1)?;
    let separator = separator.as_ref().map_or(Ok(String::new()), repr::str)?;
    let path = Path::new(attribute.as_ref(), None, false)?;
    let mut out = String::new();
    for (i, item) in iter(&value.unwrap_or_default())?.iter().enumerate() {
        out.push_str(if i > 0 { &separator } else { "" });
        out.push_str(&repr::str(&path.get(item)?)?);
        fits(out.len())?;
    }
    Ok(Value::from(out))
}

fn sort(args: &[Value]) -> Result<Value, Error> {
    let names = ["value", "reverse", "case_sensitive", "attribute"];
    let [value, reverse, case, attribute] = bind("sort", args, names, 1)?;
    let ignore_case = !is_true(case);
    // `attribute="a,b"` sorts by several.
    let paths = match attribute.as_ref().and_then(Value::as_str) {
        Some(paths) => paths
            .split(',')
            .map(|p| Path::new(Some(&Value::from(p)), None, ignore_case))
            .collect(),
        None => Path::new(attribute.as_ref(), None, ignore_case).map(|p| vec![p]),
    }?;
    let mut keyed = Vec::new();
    for item in iter(&value.unwrap_or_default())? {
        keyed.push((
            list(
                paths
                    .iter()
                    .map(|p| p.get(&item))
                    .collect::<Result<_, _>>()?,
            ),
            item,
        ));
    }
    let sorted = compare::sort(keyed, is_true(reverse))?;
    Ok(list(sorted.into_iter().map(|(_, item)| item).collect()))
}

fn dict_sort(args: &[Value]) -> Result<Value, Error> {
    let [value, case, by, reverse] = bind(
        "dictsort",
        args,
        ["value", "case_sensitive", "by", "reverse"],
        1,
    )?;
    let by_value = match by.as_ref().map_or(Some("key"), Value::as_str) {
        Some("key") => false,
        Some("value") => true,
        _ => {
            return Err(exception(
                "FilterArgumentError",
                "You can only sort by either \"key\" or \"value\"",
            ));
        }
    };
    let value = value.unwrap_or_default();
    let Py::Dict(dict) = py(&value) else {
        let kind = if value.is_undefined() {
            "UndefinedError"
        } else {
            "AttributeError"
        };
        return Err(exception(
            kind,
            format!("'{}' object has no attribute 'items'", type_name(&value)),
        ));
    };
    let case = is_true(case);
    let keyed = dict.iter().map(|(name, item)| {
        let key = if by_value { item } else { name }.clone();
        let pair = tuple(vec![name.clone(), item.clone()]);
        (if case { key } else { lower(key) }, pair)
    });
    let sorted = compare::sort(keyed.collect(), is_true(reverse))?;
    Ok(list(sorted.into_iter().map(|(_, pair)| pair).collect()))
}

fn unique(args: &[Value]) -> Result<Value, Error> {
    let [value, case, attribute] =
        bind("unique", args, ["value", "case_sensitive", "attribute"], 1)?;
    let path = Path::new(attribute.as_ref(), None, !is_true(case))?;
    Ok(Generator::value(iter(&value.unwrap_or_default()).and_then(
        |items| {
            let mut seen = Dict::new();
            for (key, item) in keyed(items, &path)? {
                hashable(&key)?;
                seen.entry(key).or_insert(item);
            }
            Ok(seen.into_values().collect())
        },
    )))
}

fn extreme(name: &str, args: &[Value]) -> Result<Value, Error> {
    let [value, case, attribute] = bind(name, args, ["value", "case_sensitive", "attribute"], 1)?;
    let path = Path::new(attribute.as_ref(), None, !is_true(case))?;
    let mut best: Option<(Value, Value)> = None;
    for (key, item) in keyed(iter(&value.unwrap_or_default())?, &path)? {
        let better = match &best {
            None => true,
            Some((so_far, _)) if name == "min" => {
                compare(&key, so_far)?.is_some_and(std::cmp::Ordering::is_lt)
            }
            Some((so_far, _)) => compare(&key, so_far)?.is_some_and(std::cmp::Ordering::is_gt),
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map(|(_, item)| item).unwrap_or_default())
}

fn sum(args: &[Value]) -> Result<Value, Error> {
    let [value, attribute, start] = bind("sum", args, ["iterable", "attribute", "start"], 1)?;
    let path = Path::new(attribute.as_ref(), None, false)?;
    let start = start.unwrap_or_else(|| Value::from(0));
    if start.as_str().is_some() {
        return Err(type_error(
            "sum() can't sum strings [use ''.join(seq) instead]",
        ));
    }
    iter(&value.unwrap_or_default())?
        .iter()
        .try_fold(start, |total, item| add(&total, &path.get(item)?))
}

fn batch(args: &[Value]) -> Result<Value, Error> {
    let [value, count, fill] = bind("batch", args, ["value", "linecount", "fill_with"], 2)?;
    let count = usize::try_from(index(&count.unwrap_or_default())?).unwrap_or(0);
    if !(1..=1 << 20).contains(&count) {
        return Err(unsupported("batches of this size"));
    }
    Ok(Generator::value(iter(&value.unwrap_or_default()).map(
        |items| {
            let batches = items.chunks(count).map(|chunk| {
                let mut batch = chunk.to_vec();
                if let Some(fill) = fill.as_ref().filter(|f| !f.is_none()) {
                    batch.resize(count, fill.clone());
                }
                list(batch)
            });
            batches.collect()
        },
    )))
}

fn slices(args: &[Value]) -> Result<Value, Error> {
    let [value, count, fill] = bind("slice", args, ["value", "slices", "fill_with"], 2)?;
    let count = usize::try_from(index(&count.unwrap_or_default())?).unwrap_or(0);
    if !(1..=1 << 20).contains(&count) {
        return Err(unsupported("this number of slices"));
    }
    let items = iter(&value.unwrap_or_default())?;
    let (size, extra) = (items.len() / count, items.len() % count);
    let mut rest = items.into_iter();
    let slices = (0..count).map(|number| {
        let mut slice: Vec<_> = rest
            .by_ref()
            .take(size + usize::from(number < extra))
            .collect();
        if number >= extra {
            slice.extend(fill.clone().filter(|f| !f.is_none()));
        }
        list(slice)
    });
    Ok(Generator::value(Ok(slices.collect())))
}

fn group_by(args: &[Value]) -> Result<Value, Error> {
    let names = ["value", "attribute", "default", "case_sensitive"];
    let [value, attribute, default, case] = bind("groupby", args, names, 2)?;
    let path = Path::new(attribute.as_ref(), default.clone(), !is_true(case))?;
    let shown = Path::new(attribute.as_ref(), default, false)?;
    let entries = compare::sort(keyed(iter(&value.unwrap_or_default())?, &path)?, false)?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in entries {
        match groups.last_mut() {
            Some((last, members)) if equal(last, &key)? => members.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let mut out = Vec::new();
    for (_, members) in groups {
        let grouper = shown.get(members.first().unwrap_or(&Value::UNDEFINED))?;
        out.push(Group::value(grouper, list(members)));
    }
    Ok(list(out))
}

/// Arguments for a filter or a test: `item`, then `args`, then the keywords.
fn with_keywords(item: &Value, args: &[Value], keywords: Option<&Kwargs>) -> Vec<Value> {
    let mut all = vec![item.clone()];
    all.extend_from_slice(args);
    all.extend(keywords.map(|k| Value::from(k.clone())));
    all
}

fn map(state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let [value, rest @ ..] = args else {
        return Err(type_error("map() missing its value"));
    };
    Ok(Generator::value(map_items(state, value, rest)))
}

fn map_items(
    state: &mut State<'_, '_>,
    value: &Value,
    args: &[Value],
) -> Result<Vec<Value>, Error> {
    if !value.is_true() {
        return Ok(Vec::new());
    }
    let (positional, keywords) = split(args);
    match (positional, &keywords) {
        ([], Some(k)) if k.has("attribute") => {
            let [attribute, default] = bind("map", args, ["attribute", "default"], 1)?;
            let path = Path::new(attribute.as_ref(), default, false)?;
            iter(value)?.iter().map(|item| path.get(item)).collect()
        }
        ([], _) => Err(exception(
            "FilterArgumentError",
            "map requires a filter argument",
        )),
        ([name, rest @ ..], keywords) => {
            let items = iter(value)?;
            let name = text(name)?;
            let unknown =
                || exception("TemplateRuntimeError", format!("No filter named '{name}'."));
            let call = |item| {
                let all = with_keywords(item, rest, keywords.as_ref());
                if FILTERS.contains(&name) {
                    state.apply_filter(name, &all)
                } else {
                    Err(unknown())
                }
            };
            items.iter().map(call).collect()
        }
    }
}

fn select(state: &mut State<'_, '_>, name: &str, args: &[Value]) -> Result<Value, Error> {
    let [value, rest @ ..] = args else {
        return Err(type_error(format!("{name}() missing its value")));
    };
    Ok(Generator::value(select_items(
        state,
        value,
        name.starts_with("select"),
        name.ends_with("attr"),
        rest,
    )))
}

fn select_items(
    state: &mut State<'_, '_>,
    value: &Value,
    keep: bool,
    by_attribute: bool,
    args: &[Value],
) -> Result<Vec<Value>, Error> {
    if !value.is_true() {
        return Ok(Vec::new());
    }
    let (mut positional, keywords) = split(args);
    let mut path = Path::new(None, None, false)?;
    if by_attribute {
        let [attribute, rest @ ..] = positional else {
            return Err(exception(
                "FilterArgumentError",
                "Missing parameter for attribute name",
            ));
        };
        path = Path::new(Some(attribute), None, false)?;
        positional = rest;
    }
    let mut kept = Vec::new();
    for item in iter(value)? {
        let seen = path.get(&item)?;
        let holds = match positional {
            [] => seen.is_true(),
            [name, rest @ ..] => {
                let name = text(name)?;
                if !TESTS.contains(&name) {
                    return Err(exception(
                        "TemplateRuntimeError",
                        format!("No test named '{name}'."),
                    ));
                }
                state.perform_test(name, &with_keywords(&seen, rest, keywords.as_ref()))?
            }
        };
        if holds == keep {
            kept.push(item);
        }
    }
    Ok(kept)
}
