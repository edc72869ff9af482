//! `str % values`.

use std::iter::Peekable;
use std::str::Chars;

use minijinja::{Error, Value};

use super::exception::{exception, type_error, unsupported};
use super::format_spec::{Spec, digits, value_error};
use super::limits::fits;
use super::repr;
use super::value::{Py, index, py, type_name};

/// `template % values`.
///
/// # Errors
/// `TypeError` for too few, too many or wrong values, `KeyError` for a missing name, `ValueError` for a bad template.
pub(crate) fn percent(template: &str, values: &Value) -> Result<String, Error> {
    let single = [values.clone()];
    let items = match py(values) {
        Py::Tuple(items) => items,
        _ => &single[..],
    };
    let mut args = items.iter();
    let (mut out, mut chars) = (String::new(), template.chars().peekable());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let named = named_value(&mut chars, values)?;
        if named.is_some() {
            args = [].iter();
        }
        let spec = read_spec(&mut chars, &mut args)?;
        let kind = chars
            .next()
            .ok_or_else(|| value_error("incomplete format"))?;
        let value = match &named {
            Some(value) => value,
            None => next(&mut args)?,
        };
        out.push_str(&converted(spec, kind, value)?);
        fits(out.len())?;
    }
    // Python takes a single value of these types for a mapping, which may have more keys than are used.
    let is_mapping = matches!(
        py(values),
        Py::Dict(_) | Py::List(_) | Py::Range(_) | Py::Undefined
    );
    if args.next().is_some() && !is_mapping {
        return Err(type_error(
            "not all arguments converted during string formatting",
        ));
    }
    Ok(out)
}

fn next<'v>(args: &mut std::slice::Iter<'v, Value>) -> Result<&'v Value, Error> {
    args.next()
        .ok_or_else(|| type_error("not enough arguments for format string"))
}

/// Reads `(name)` and returns the item of that name.
fn named_value(chars: &mut Peekable<Chars<'_>>, values: &Value) -> Result<Option<Value>, Error> {
    if chars.next_if_eq(&'(').is_none() {
        return Ok(None);
    }
    let name: String = chars.by_ref().take_while(|c| *c != ')').collect();
    let Py::Dict(dict) = py(values) else {
        return Err(type_error("format requires a mapping"));
    };
    let found = dict.get(&Value::from(name.as_str())).cloned();
    found.ok_or_else(|| exception("KeyError", name)).map(Some)
}

/// Reads flags, width and precision.
fn read_spec(
    chars: &mut Peekable<Chars<'_>>,
    args: &mut std::slice::Iter<'_, Value>,
) -> Result<Spec, Error> {
    let mut spec = Spec::default();
    while let Some(flag) = chars.next_if(|c| matches!(c, '#' | '0' | '-' | ' ' | '+')) {
        match flag {
            '#' => spec.alternate = true,
            '0' => spec.zero = true,
            '-' => spec.align = Some('<'),
            '+' => spec.sign = Some('+'),
            _ => spec.sign = spec.sign.or(Some(' ')),
        }
    }
    let mut amount = |chars: &mut Peekable<Chars<'_>>| match chars.next_if_eq(&'*') {
        Some(_) => next(args).and_then(index),
        None => Ok(digits(chars)),
    };
    let width = amount(chars)?;
    if width < 0 {
        spec.align = Some('<');
    }
    spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    if chars.next_if_eq(&'.').is_some() {
        spec.precision = Some(usize::try_from(amount(chars)?).unwrap_or(0));
    }
    while chars.next_if(|c| matches!(c, 'h' | 'l' | 'L')).is_some() {}
    if spec.align == Some('<') {
        spec.zero = false;
    }
    Ok(spec)
}

#[allow(clippy::cast_possible_truncation, reason = "as Python's int(float)")]
fn converted(mut spec: Spec, kind: char, value: &Value) -> Result<String, Error> {
    spec.kind = Some(kind);
    if matches!(kind, 's' | 'r' | 'a') {
        let mut text = String::new();
        match kind {
            's' => text = repr::str(value)?,
            _ => repr::repr(value, &mut text, 0)?,
        }
        if kind == 'a' && !text.is_ascii() {
            return Err(unsupported("%a outside ASCII"));
        }
        spec.zero = false;
        spec.align = Some(spec.align.unwrap_or('>'));
        return spec.text(&text);
    }
    let number = match py(value) {
        Py::Bool(b) => Some(Ok(i128::from(b))),
        Py::Int(i) => Some(Ok(i)),
        Py::Float(f) => Some(Err(f)),
        _ => None,
    };
    match (kind, number) {
        ('d' | 'i' | 'u' | 'x' | 'X' | 'o' | 'c', Some(Ok(i))) => spec.int(i),
        ('d' | 'i' | 'u', Some(Err(f))) if f.abs() < 1e38 => spec.int(f.trunc() as i128),
        ('d' | 'i' | 'u', Some(Err(f))) if f.is_finite() => {
            Err(unsupported("an integer of more than 128 bits"))
        }
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Some(n)) => {
            spec.float(n.map_or_else(|f| f, |i| i as f64))
        }
        ('c', None) if value.as_str().is_some_and(|s| s.chars().count() == 1) => {
            spec.text(value.as_str().unwrap_or_default())
        }
        ('d' | 'i' | 'u' | 'x' | 'X' | 'o' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'c', _) => {
            Err(type_error(format!(
                "%{kind} format: a number is required, not {}",
                type_name(value)
            )))
        }
        _ => Err(value_error("unsupported format character")),
    }
}
