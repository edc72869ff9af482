//! `apply_chat_template`: which template, with which variables, and what its other parameters do to a count.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::civil::DateTime;
use minijinja::Value;
use serde_json::Value as Json;

use crate::jinja::limits::Limits;
use crate::jinja::runtime::Template;
use crate::python::exception::Exception;
use crate::python::value::{Dict, dict, from_json, is_true_json, list, string};

/// Per-event templates kept compiled, and the length of one that is kept.
const KEPT_TEMPLATES: usize = 64;

/// Where a tokenizer's templates come from: the contents of its files.
#[derive(Debug, Clone, Default)]
pub struct TemplateSource {
    /// `chat_template.jinja`
    pub chat_template_jinja: Option<String>,
    /// `additional_chat_templates/NAME.jinja` as (NAME, content).
    pub additional_templates: Vec<(String, String)>,
    /// `tokenizer_config.json`
    pub tokenizer_config: Option<Json>,
}

/// What the templates of a tokenizer are by name.
#[derive(Debug, PartialEq)]
enum Own<T> {
    None,
    One(T),
    Named(HashMap<String, T>),
}

/// One assistant output, as the reference wraps it: empty strings and empty lists are left out of the message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// `content`
    pub content: &'a str,
    /// `reasoning_content`
    pub reasoning: Option<&'a str>,
    /// `tool_calls`, normalized.
    pub tool_calls: Option<&'a [Value]>,
}

/// One structured prompt of a `sample.issued` event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prompt<'a> {
    /// Normalized messages.
    pub messages: &'a [Value],
    /// `tools`, when given.
    pub tools: Option<&'a [Json]>,
    /// `chat_template_kwargs`, when given.
    pub chat_template_kwargs: Option<&'a serde_json::Map<String, Json>>,
    /// The event's own template or the name of one, when given.
    pub chat_template: Option<&'a str>,
    /// `tool_choice`, when given and not null.
    pub tool_choice: Option<&'a Json>,
}

/// What `chat_template_kwargs` does to the count of the rendered text: at most `truncate_to`, then at least `pad_to`;
/// `fixed` replaces it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountAdjustment {
    /// Tokens at most.
    pub truncate_to: Option<u64>,
    /// Tokens at least.
    pub pad_to: Option<u64>,
    /// The count, whatever the text: `return_tensors` makes a batch of one.
    pub fixed: Option<u64>,
}

impl CountAdjustment {
    /// The count that the reference records for a text of `tokens`.
    pub fn apply(self, tokens: u64) -> u64 {
        let cut = tokens.min(self.truncate_to.unwrap_or(u64::MAX));
        self.fixed.unwrap_or(cut.max(self.pad_to.unwrap_or(0)))
    }
}

type Compiled = Arc<Result<Template, Exception>>;

/// The templates of one tokenizer, each compiled once, used from any thread.
#[derive(Debug)]
pub struct Templates {
    own: Own<Compiled>,
    /// Variables that every rendering starts with, Python `None` for the parameters that are not given.
    base: Dict,
    has_pad_token: bool,
    /// `model_max_length`, unless it is the huge number that means none.
    model_max_length: Option<u64>,
    now: DateTime,
    limits: Limits,
    /// Templates that events bring, by their text. The tokenizer's own need no look-up.
    compiled: RwLock<HashMap<String, Compiled>>,
    user: Value,
}

impl Templates {
    /// Templates of a tokenizer. `special_tokens` is transformers' `special_tokens_map`: `bos_token` and the like with
    /// their text. `now` is what `strftime_now` shows. A template's errors show when it renders, as in the reference.
    pub fn new(
        source: TemplateSource,
        special_tokens: &[(String, String)],
        now: DateTime,
        limits: Limits,
    ) -> Self {
        let mut base: Dict = special_tokens
            .iter()
            .map(|(name, text)| (string(name), string(text)))
            .collect();
        let max = source
            .tokenizer_config
            .as_ref()
            .and_then(|config| config.get("model_max_length"));
        let model_max_length = max
            .and_then(Json::as_f64)
            .filter(|max| *max <= 1e20)
            .and_then(|_| max?.as_u64());
        let has_pad_token = special_tokens.iter().any(|(name, _)| name == "pad_token");
        for (name, value) in [
            ("messages", Value::UNDEFINED),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
        ] {
            base.insert(Value::from(name), value);
        }
        let user = dict(Dict::from([
            (Value::from("role"), Value::from("user")),
            (Value::from("content"), Value::from("")),
        ]));
        let compile = |text: String| Arc::new(Template::new(&text, now, limits));
        let own = match own_templates(source) {
            Own::None => Own::None,
            Own::One(text) => Own::One(compile(text)),
            Own::Named(named) => {
                let named = named.into_iter();
                Own::Named(named.map(|(name, text)| (name, compile(text))).collect())
            }
        };
        Self {
            own,
            base,
            has_pad_token,
            model_max_length,
            now,
            limits,
            compiled: RwLock::default(),
            user,
        }
    }

    /// Renders the user message that stands before every assistant output, alone: the first baseline.
    ///
    /// # Errors
    /// What the template raises; the reference then takes both baselines as 0.
    pub fn render_user_only(&self, out: &mut String) -> Result<(), Exception> {
        self.render_messages(vec![self.user.clone()], out)
    }

    /// Renders that message and an empty assistant output: the second baseline.
    ///
    /// # Errors
    /// As [`Self::render_user_only`].
    pub fn render_empty_assistant(&self, out: &mut String) -> Result<(), Exception> {
        self.render_message(&Message::default(), out)
    }

    /// Renders the user message and one assistant output, appended to `out`.
    ///
    /// # Errors
    /// What the template raises: the reference then counts [`super::fallback_message`], if
    /// it raised too, so not for [`Exception::unsupported`].
    pub fn render_message(&self, message: &Message<'_>, out: &mut String) -> Result<(), Exception> {
        let mut assistant = Dict::with_capacity(4);
        assistant.insert(Value::from("role"), Value::from("assistant"));
        assistant.insert(Value::from("content"), string(message.content));
        if let Some(reasoning) = message.reasoning.filter(|r| !r.is_empty()) {
            assistant.insert(Value::from("reasoning_content"), string(reasoning));
        }
        if let Some(calls) = message.tool_calls.filter(|calls| !calls.is_empty()) {
            assistant.insert(Value::from("tool_calls"), list(calls.to_vec()));
        }
        self.render_messages(vec![self.user.clone(), dict(assistant)], out)
    }

    fn render_messages(&self, messages: Vec<Value>, out: &mut String) -> Result<(), Exception> {
        let mut variables = self.base.clone();
        variables.insert(Value::from("messages"), list(messages));
        variables.insert(Value::from("add_generation_prompt"), Value::from(false));
        let template = self.choose(None, false)?;
        render(&template, variables, out)
    }

    /// Renders a prompt with the generation prompt, appended to `out`; how its count changes after tokenizing.
    ///
    /// # Errors
    /// What transformers or the template raise: the reference then counts [`super::fallback_prompt`], if
    /// it raised too, so not for [`Exception::unsupported`].
    pub fn render_prompt(&self, prompt: &Prompt<'_>, out: &mut String) -> Result<CountAdjustment, Exception> {
        let empty = serde_json::Map::new();
        let kwargs = prompt.chat_template_kwargs.unwrap_or(&empty);
        let get = |name: &str| kwargs.get(name).filter(|value| !value.is_null());
        for taken in ["self", "conversation", "conversations", "messages"] {
            if kwargs.contains_key(taken) {
                return Err(Exception::new(
                    "TypeError",
                    format!("got multiple values for argument '{taken}'"),
                ));
            }
        }
        for refused in ["return_assistant_tokens_mask", "continue_final_message"] {
            if get(refused).is_some_and(is_true_json) {
                return Err(Exception::new(
                    "ValueError",
                    if refused == "continue_final_message" {
                        "continue_final_message and add_generation_prompt are not compatible"
                    } else {
                        "return_assistant_tokens_mask cannot be set here"
                    },
                ));
            }
        }
        let tools = match prompt.tools {
            Some(tools) => Some(list(tools.iter().map(from_json).collect())),
            None => get("tools").map(tool_list).transpose()?,
        };
        let documents = get("documents").map(document_list).transpose()?;
        let template = match (prompt.chat_template, get("chat_template")) {
            (Some(text), _) => Some(text),
            (None, None) => None,
            (None, Some(Json::String(text))) => Some(text.as_str()),
            (None, Some(_)) => {
                return Err(Exception::new("TypeError", "Can't compile non template nodes"));
            }
        };
        let template = self.choose(template, tools.is_some())?;
        if prompt.messages.is_empty() {
            return Err(Exception::new("IndexError", "list index out of range"));
        }
        let effect = self.effect(kwargs);

        let mut variables = self.base.clone();
        for (name, value) in kwargs
            .iter()
            .filter(|(name, _)| !PARAMETERS.contains(&name.as_str()))
        {
            variables.insert(string(name), from_json(value));
        }
        if let Some(choice) = prompt.tool_choice {
            variables.insert(Value::from("tool_choice"), from_json(choice));
        }
        variables.insert(Value::from("messages"), list(prompt.messages.to_vec()));
        variables.insert(
            Value::from("tools"),
            tools.unwrap_or_else(|| Value::from(())),
        );
        variables.insert(
            Value::from("documents"),
            documents.unwrap_or_else(|| Value::from(())),
        );
        variables.insert(Value::from("add_generation_prompt"), Value::from(true));
        let start = out.len();
        render(&template, variables, out)?;
        effect.inspect_err(|_| out.truncate(start))
    }

    /// `get_chat_template`: the template to use.
    fn choose(&self, asked: Option<&str>, with_tools: bool) -> Result<Compiled, Exception> {
        match (&self.own, asked) {
            (Own::Named(named), Some(name)) => Ok(named
                .get(name)
                .map_or_else(|| self.compiled(name), Arc::clone)),
            (_, Some(text)) => Ok(self.compiled(text)),
            (Own::One(template), None) => Ok(Arc::clone(template)),
            (Own::Named(named), None) => {
                let chosen = named
                    .get("tool_use")
                    .filter(|_| with_tools)
                    .or_else(|| named.get("default"));
                chosen.map(Arc::clone).ok_or_else(|| {
                    Exception::new(
                        "ValueError",
                        "This model has multiple chat templates with no default specified!",
                    )
                })
            }
            (Own::None, None) => Err(Exception::new(
                "ValueError",
                "tokenizer.chat_template is not set",
            )),
        }
    }

    /// The compiled form of a template's text; of those that events bring only so many are kept.
    fn compiled(&self, text: &str) -> Compiled {
        if let Some(found) = self
            .compiled
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(text)
        {
            return Arc::clone(found);
        }
        let compiled = Arc::new(Template::new(text, self.now, self.limits));
        let mut kept = self
            .compiled
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_TEMPLATES {
            kept.clear();
        }
        kept.insert(text.to_owned(), Arc::clone(&compiled));
        compiled
    }

    /// What the parameters of tokenizing do (`tokenization_utils_base.py`, found by experiment with 5.5.0).
    fn effect(&self, kwargs: &serde_json::Map<String, Json>) -> Result<CountAdjustment, Exception> {
        let invalid = |name: &str| Err(Exception::new("ValueError", format!("not a valid {name}")));
        let max_length = kwargs.get("max_length").filter(|value| !value.is_null());
        let truncate = match kwargs.get("truncation").unwrap_or(&Json::Bool(false)) {
            Json::Null => {
                max_length.is_some()
                    && !kwargs
                        .get("padding")
                        .is_some_and(|p| *p != Json::Bool(false))
            }
            Json::Bool(on) => *on,
            Json::String(word) => match word.as_str() {
                "do_not_truncate" => false,
                "longest_first" | "only_first" => true,
                "only_second" if max_length.is_none() => false,
                "only_second" => {
                    return Err(Exception::unsupported(
                        "truncating only the second text",
                    ));
                }
                _ => return invalid("TruncationStrategy"),
            },
            _ => return invalid("TruncationStrategy"),
        };
        let (pads, pad) = match kwargs.get("padding").unwrap_or(&Json::Bool(false)) {
            Json::Bool(on) => (*on, false),
            Json::String(word) => match word.as_str() {
                "do_not_pad" => (false, false),
                "longest" => (true, false),
                // Without a length to pad to it is not done at all.
                "max_length" if max_length.is_none() && self.model_max_length.is_none() => {
                    (false, false)
                }
                "max_length" => (true, true),
                _ => return invalid("PaddingStrategy"),
            },
            _ => return invalid("PaddingStrategy"),
        };
        if pads && !self.has_pad_token {
            return Err(Exception::new(
                "ValueError",
                "the tokenizer does not have a padding token",
            ));
        }
        let limit = match max_length {
            None => self.model_max_length,
            Some(_) if !truncate && !pad => None,
            Some(Json::Bool(on)) => Some(u64::from(*on)),
            Some(Json::Number(n)) if n.is_u64() => n.as_u64(),
            Some(Json::Number(n)) if n.is_i64() => {
                return Err(Exception::new("OverflowError", "max_length is negative"));
            }
            Some(_) => return Err(Exception::new("TypeError", "max_length is no integer")),
        };
        let fixed = match kwargs.get("return_tensors").unwrap_or(&Json::Null) {
            Json::Null => None,
            Json::String(kind) if kind == "np" => Some(1),
            Json::String(kind) if kind == "pt" || kind == "mlx" => {
                return Err(Exception::unsupported(
                    "return_tensors of a package that may not have been there",
                ));
            }
            _ => return invalid("TensorType"),
        };
        check_tokenizer_kwargs(kwargs.get("tokenizer_kwargs").unwrap_or(&Json::Null))?;
        Ok(CountAdjustment {
            truncate_to: limit.filter(|_| truncate),
            pad_to: limit.filter(|_| pad),
            fixed,
        })
    }
}

/// Parameters of `apply_chat_template` that do not reach the template by their own name.
const PARAMETERS: [&str; 13] = [
    "tools",
    "documents",
    "chat_template",
    "add_generation_prompt",
    "continue_final_message",
    "tokenize",
    "padding",
    "truncation",
    "max_length",
    "return_tensors",
    "return_dict",
    "return_assistant_tokens_mask",
    "tokenizer_kwargs",
];

fn render(template: &Compiled, variables: Dict, out: &mut String) -> Result<(), Exception> {
    match template.as_ref() {
        Ok(template) => template.render(dict(variables), out),
        Err(raised) => Err(raised.clone()),
    }
}

/// The files of a tokenizer → its templates: separate files win over `tokenizer_config.json`.
fn own_templates(source: TemplateSource) -> Own<String> {
    let mut files: HashMap<String, String> = source.additional_templates.into_iter().collect();
    if let Some(default) = source.chat_template_jinja {
        if files.is_empty() {
            return Own::One(default);
        }
        files.insert("default".to_owned(), default);
    }
    if !files.is_empty() {
        return match (files.len(), files.remove("default")) {
            (1, Some(only)) => Own::One(only),
            (_, default) => {
                files.extend(default.map(|text| ("default".to_owned(), text)));
                Own::Named(files)
            }
        };
    }
    let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
    match source
        .tokenizer_config
        .as_ref()
        .and_then(|config| config.get("chat_template"))
    {
        Some(Json::String(text)) => Own::One(text.clone()),
        Some(Json::Array(items)) => Own::Named(
            items
                .iter()
                .filter_map(|i| Some((text(i.get("name"))?, text(i.get("template"))?)))
                .collect(),
        ),
        Some(Json::Object(map)) => Own::Named(
            map.iter()
                .filter_map(|(n, t)| Some((n.clone(), text(Some(t))?)))
                .collect(),
        ),
        _ => Own::None,
    }
}

/// `tools` of `chat_template_kwargs`: anything iterable, of dicts.
fn tool_list(tools: &Json) -> Result<Value, Exception> {
    match tools {
        Json::Array(items) if items.iter().all(Json::is_object) => {
            Ok(list(items.iter().map(from_json).collect()))
        }
        Json::String(text) if text.is_empty() => Ok(list(Vec::new())),
        Json::Object(map) if map.is_empty() => Ok(list(Vec::new())),
        Json::Array(_) | Json::String(_) | Json::Object(_) => Err(Exception::new(
            "ValueError",
            "Tools should either be a JSON schema, or a callable function",
        )),
        _ => Err(Exception::new("TypeError", "tools is not iterable")),
    }
}

/// `documents`: anything iterable, of dicts, handed on as it is.
fn document_list(documents: &Json) -> Result<Value, Exception> {
    let fits = match documents {
        Json::Array(items) => items.iter().all(Json::is_object),
        Json::String(text) => text.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    };
    if fits {
        Ok(from_json(documents))
    } else {
        Err(Exception::new(
            "TypeError",
            "Documents should be a list of dicts",
        ))
    }
}

/// `tokenizer_kwargs`: refused where transformers refuses, let through where it changes no count.
fn check_tokenizer_kwargs(kwargs: &Json) -> Result<(), Exception> {
    let map = match kwargs {
        Json::Null => return Ok(()),
        Json::Object(map) => map,
        _ => {
            return Err(Exception::new(
                "TypeError",
                "argument after ** must be a mapping",
            ));
        }
    };
    for name in map.keys() {
        match name.as_str() {
            "self" | "text" | "padding" | "truncation" | "max_length" | "add_special_tokens"
            | "return_tensors" => {
                return Err(Exception::new(
                    "TypeError",
                    format!("got multiple values for keyword argument '{name}'"),
                ));
            }
            "verbose"
            | "return_length"
            | "return_attention_mask"
            | "return_token_type_ids"
            | "return_offsets_mapping"
            | "return_special_tokens_mask" => {}
            _ => {
                return Err(Exception::unsupported(format!("the tokenizer argument '{name}'")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_chosen_as_transformers_does() {
        let one = |text: &str| Own::One(text.to_owned());
        let named = |pairs: &[(&str, &str)]| {
            Own::Named(
                pairs
                    .iter()
                    .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                    .collect(),
            )
        };
        let check = |file: Option<&str>,
                     additional: &[(&str, &str)],
                     config: Option<Json>,
                     expected: Own<String>| {
            let source = TemplateSource {
                chat_template_jinja: file.map(str::to_owned),
                additional_templates: additional
                    .iter()
                    .map(|(n, t)| ((*n).to_owned(), (*t).to_owned()))
                    .collect(),
                tokenizer_config: config.clone(),
            };
            assert_eq!(
                own_templates(source),
                expected,
                "{file:?} {additional:?} {config:?}"
            );
        };
        let config = || Some(json!({"chat_template": "c"}));
        let list = json!({"chat_template": [
            {"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]});
        check(None, &[], None, Own::None);
        check(None, &[], Some(json!({})), Own::None);
        check(None, &[], config(), one("c"));
        check(Some("f"), &[], config(), one("f"));
        check(
            None,
            &[],
            Some(list),
            named(&[("default", "d"), ("tool_use", "t")]),
        );
        check(
            None,
            &[],
            Some(json!({"chat_template": {"rag": "r"}})),
            named(&[("rag", "r")]),
        );
        check(None, &[("rag", "r")], config(), named(&[("rag", "r")]));
        check(
            Some("f"),
            &[("b", "b")],
            None,
            named(&[("default", "f"), ("b", "b")]),
        );
    }
}
