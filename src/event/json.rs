//! A JSON value inside a decoded line: a view over simd-json's tape, copied only where a chat
//! template needs a value of its own.

use serde_json::Value;
use simd_json::{Node, StaticNode};

/// A borrowed JSON value: the tape nodes that make it up, its own first.
#[derive(Clone, Copy, Debug)]
pub struct Json<'t, 'l>(&'t [Node<'l>]);

impl<'t, 'l> Json<'t, 'l> {
    /// The first value on `nodes`, and what stands after it.
    fn split_first(nodes: &'t [Node<'l>]) -> Option<(Self, &'t [Node<'l>])> {
        let size = match nodes.first()? {
            Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
            Node::String(_) | Node::Static(_) => 1,
        };
        let (value, rest) = nodes.split_at_checked(size)?;
        Some((Self(value), rest))
    }

    /// The value that a tape holds.
    pub(super) fn root(tape: &'t [Node<'l>]) -> Option<Self> {
        Some(Self::split_first(tape)?.0)
    }

    pub(super) fn node(&self) -> Node<'l> {
        // A value is never empty: `split_first` made it of at least one node.
        self.0
            .first()
            .copied()
            .unwrap_or(Node::Static(StaticNode::Null))
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&'l str> {
        match self.node() {
            Node::String(s) => Some(s),
            _ => None,
        }
    }

    /// Returns true if this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.node(), Node::Static(StaticNode::Null))
    }

    /// Returns true if this is an array.
    pub fn is_array(&self) -> bool {
        matches!(self.node(), Node::Array { .. })
    }

    /// Returns true if this is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.node(), Node::Object { .. })
    }

    /// Returns true if this is an integer, as the reference's decoder tells integers from floats.
    pub(super) fn is_integer(&self) -> bool {
        matches!(
            self.node(),
            Node::Static(StaticNode::I64(_) | StaticNode::U64(_))
        )
    }

    /// The number of elements of an array, 0 for other values.
    pub fn len(&self) -> usize {
        match self.node() {
            Node::Array { len, .. } => len,
            _ => 0,
        }
    }

    /// Returns true if this is an array without elements, or no array.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of an array; nothing for anything else.
    pub fn items(&self) -> impl Iterator<Item = Json<'t, 'l>> + Clone + use<'t, 'l> {
        Nodes(if self.is_array() { &self.0[1..] } else { &[] })
    }

    /// The members of an object in their order, repeated keys included; nothing for anything else.
    pub fn members(&self) -> impl Iterator<Item = (&'l str, Json<'t, 'l>)> + use<'t, 'l> {
        let mut nodes = Nodes(if self.is_object() { &self.0[1..] } else { &[] });
        std::iter::from_fn(move || {
            let key = nodes.next()?.as_str()?;
            Some((key, nodes.next()?))
        })
    }

    /// Returns true if any value in it is a number, boolean or null for which `is` holds.
    pub(super) fn has(&self, is: impl Fn(StaticNode) -> bool) -> bool {
        self.0
            .iter()
            .any(|node| matches!(node, Node::Static(value) if is(*value)))
    }

    /// An owned copy. A repeated key keeps its first place and takes its last value, as in a
    /// Python dict.
    pub fn to_value(&self) -> Value {
        match self.node() {
            Node::String(s) => Value::String(s.to_owned()),
            Node::Static(StaticNode::Null) => Value::Null,
            Node::Static(StaticNode::Bool(b)) => Value::Bool(b),
            Node::Static(StaticNode::I64(n)) => n.into(),
            Node::Static(StaticNode::U64(n)) => n.into(),
            Node::Static(StaticNode::F64(n)) => n.into(),
            Node::Array { .. } => self.items().map(|v| v.to_value()).collect(),
            Node::Object { .. } => Value::Object(
                self.members()
                    .map(|(k, v)| (k.to_owned(), v.to_value()))
                    .collect(),
            ),
        }
    }
}

/// The values that stand side by side on a tape.
#[derive(Clone)]
struct Nodes<'t, 'l>(&'t [Node<'l>]);

impl<'t, 'l> Iterator for Nodes<'t, 'l> {
    type Item = Json<'t, 'l>;

    fn next(&mut self) -> Option<Self::Item> {
        let (value, rest) = Json::split_first(self.0)?;
        self.0 = rest;
        Some(value)
    }
}
