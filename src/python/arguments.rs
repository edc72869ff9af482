//! Call arguments, bound to names as Python binds them.

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{Error, Value};

use super::exception::type_error;

/// All arguments of a filter, a test or a function; keywords, if any, are the last value.
pub(crate) type Arguments = Rest<ValueOrKwargs>;

/// Splits the arguments that `minijinja` passes into positional and keyword arguments.
pub(crate) fn split(args: &[Value]) -> (&[Value], Option<Kwargs>) {
    match args.split_last() {
        Some((last, rest)) if last.is_kwargs() => (rest, Kwargs::try_from(last.clone()).ok()),
        _ => (args, None),
    }
}

/// Binds arguments of `function` to `names`, of which the first `required` must be given.
///
/// # Errors
/// `TypeError` for an argument too many, a missing one, an unknown name, or one given twice. An argument whose name
/// starts with a dash is positional only.
pub(crate) fn bind<const N: usize>(
    function: &str,
    args: &[Value],
    names: [&str; N],
    required: usize,
) -> Result<[Option<Value>; N], Error> {
    let (positional, keywords) = split(args);
    if positional.len() > N {
        return Err(type_error(format!(
            "{function}() takes {N} arguments but {} were given",
            positional.len()
        )));
    }
    let mut bound = std::array::from_fn(|i| positional.get(i).cloned());
    for name in keywords.iter().flat_map(Kwargs::args) {
        let at = names.iter().position(|n| *n == name);
        let Some(at) = at else {
            return Err(type_error(format!(
                "{function}() got an unexpected keyword argument '{name}'"
            )));
        };
        if bound[at].is_some() {
            return Err(type_error(format!(
                "{function}() got multiple values for argument '{name}'"
            )));
        }
        bound[at] = keywords.as_ref().and_then(|k| k.peek::<Value>(name).ok());
    }
    match (0..required).find(|&i| bound[i].is_none()) {
        Some(i) => Err(type_error(format!(
            "{function}() missing required argument '{}'",
            names[i]
        ))),
        None => Ok(bound),
    }
}
