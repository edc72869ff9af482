//! `apply_chat_template`: the choice of the template, its variables, and the effect of other parameters on a count.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::civil::DateTime;
use minijinja::Value;
use serde_json::Value as Json;

use crate::jinja::limits::Limits;
use crate::jinja::runtime::Template;
use crate::python::exception::Exception;
use crate::python::value::{Dict, dict, from_json, is_true_json, list, string};

/// The number of templates of events that are kept compiled.
const MAX_COMPILED: usize = 64;

/// The contents of the files that hold a tokenizer's templates.
#[derive(Debug, Clone, Default)]
pub struct TemplateSource {
    /// `chat_template.jinja`
    pub chat_template_jinja: Option<String>,
    /// `additional_chat_templates/NAME.jinja` as (NAME, content).
    pub additional_templates: Vec<(String, String)>,
    /// `tokenizer_config.json`
    pub tokenizer_config: Option<Json>,
}

/// The templates of a tokenizer.
#[derive(Debug, PartialEq)]
enum OwnTemplates<T> {
    None,
    One(T),
    Named(HashMap<String, T>),
}

/// One assistant output. As in the client, the message has no fields for empty strings and empty lists.
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

/// The change that `chat_template_kwargs` makes to the count of the rendered text: at most `truncate_to`, then at least
/// `pad_to`; `fixed` replaces it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountAdjustment {
    /// The maximum number of tokens.
    pub truncate_to: Option<u64>,
    /// The minimum number of tokens.
    pub pad_to: Option<u64>,
    /// The count of any text: `return_tensors` makes a batch of one.
    pub fixed: Option<u64>,
}

impl CountAdjustment {
    /// The count that the client records for a text of `tokens`.
    pub fn apply(self, tokens: u64) -> u64 {
        let cut = tokens.min(self.truncate_to.unwrap_or(u64::MAX));
        self.fixed.unwrap_or(cut.max(self.pad_to.unwrap_or(0)))
    }
}

type Compiled = Arc<Result<Template, Exception>>;

/// The templates of one tokenizer, each compiled once, used from any thread.
#[derive(Debug)]
pub struct Templates {
    own: OwnTemplates<Compiled>,
    /// The variables of every rendering, `None` for parameters that are not given.
    base: Dict,
    has_pad_token: bool,
    /// `model_max_length`, unless it is the huge number that means "unlimited".
    model_max_length: Option<u64>,
    now: DateTime,
    limits: Limits,
    /// The templates of events, by their text.
    compiled: RwLock<HashMap<String, Compiled>>,
    user: Value,
}

impl Templates {
    /// Compiles the templates of a tokenizer. `special_tokens` is transformers' `special_tokens_map`, such as `bos_token`
    /// with its text. `now` is the time of `strftime_now`. A template with an error raises when it renders, as in the
    /// client.
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
            OwnTemplates::None => OwnTemplates::None,
            OwnTemplates::One(text) => OwnTemplates::One(compile(text)),
            OwnTemplates::Named(named) => {
                let named = named.into_iter();
                OwnTemplates::Named(named.map(|(name, text)| (name, compile(text))).collect())
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

    /// Renders the user message that precedes every assistant output, alone: the first baseline.
    ///
    /// # Errors
    /// The exceptions of the template; the client then takes both baselines as 0.
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
    /// The exceptions of the template: the client then counts [`super::fallback_message`], if
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

    /// Renders a prompt with the generation prompt, appended to `out`. Returns the change of its count.
    ///
    /// # Errors
    /// The exceptions of transformers and of the template: the client then counts [`super::fallback_prompt`], if
    /// it raised too, so not for [`Exception::unsupported`].
    pub fn render_prompt(
        &self,
        prompt: &Prompt<'_>,
        out: &mut String,
    ) -> Result<CountAdjustment, Exception> {
        let empty = serde_json::Map::new();
        let kwargs = prompt.chat_template_kwargs.unwrap_or(&empty);
        let get = |name: &str| kwargs.get(name).filter(|value| !value.is_null());
        refuse_parameters(kwargs)?;
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
                return Err(Exception::new(
                    "TypeError",
                    "Can't compile non template nodes",
                ));
            }
        };
        let template = self.choose(template, tools.is_some())?;
        if prompt.messages.is_empty() {
            return Err(Exception::new("IndexError", "list index out of range"));
        }
        let adjustment = self.adjustment(kwargs);

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
        adjustment.inspect_err(|_| out.truncate(start))
    }

    /// `get_chat_template`: chooses the template.
    fn choose(&self, asked: Option<&str>, with_tools: bool) -> Result<Compiled, Exception> {
        match (&self.own, asked) {
            (OwnTemplates::Named(named), Some(name)) => Ok(named
                .get(name)
                .map_or_else(|| self.compiled(name), Arc::clone)),
            (_, Some(text)) => Ok(self.compiled(text)),
            (OwnTemplates::One(template), None) => Ok(Arc::clone(template)),
            (OwnTemplates::Named(named), None) => {
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
            (OwnTemplates::None, None) => Err(Exception::new(
                "ValueError",
                "tokenizer.chat_template is not set",
            )),
        }
    }

    /// Compiles the template of an event, or returns the one that is kept.
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
        if kept.len() >= MAX_COMPILED {
            kept.clear();
        }
        kept.insert(text.to_owned(), Arc::clone(&compiled));
        compiled
    }

    /// The change that the parameters of tokenizing make (`tokenization_utils_base.py`, found by experiment with 5.5.0).
    fn adjustment(
        &self,
        kwargs: &serde_json::Map<String, Json>,
    ) -> Result<CountAdjustment, Exception> {
        let max_length = kwargs.get("max_length").filter(|value| !value.is_null());
        let truncates = truncates(kwargs, max_length.is_some())?;
        let pads = self.pads_to_length(kwargs, max_length.is_some())?;
        let limit = match max_length {
            None => self.model_max_length,
            Some(_) if !truncates && !pads => None,
            Some(Json::Bool(on)) => Some(u64::from(*on)),
            Some(Json::Number(n)) if n.is_u64() => n.as_u64(),
            Some(Json::Number(n)) if n.is_i64() => {
                return Err(Exception::new("OverflowError", "max_length is negative"));
            }
            Some(_) => return Err(Exception::new("TypeError", "max_length is not an integer")),
        };
        let fixed = match kwargs.get("return_tensors").unwrap_or(&Json::Null) {
            Json::Null => None,
            Json::String(kind) if kind == "np" => Some(1),
            Json::String(kind) if kind == "pt" || kind == "mlx" => {
                return Err(Exception::unsupported(
                    "return_tensors of a package that may not have been installed",
                ));
            }
            _ => return Err(invalid("TensorType")),
        };
        check_tokenizer_kwargs(kwargs.get("tokenizer_kwargs").unwrap_or(&Json::Null))?;
        Ok(CountAdjustment {
            truncate_to: limit.filter(|_| truncates),
            pad_to: limit.filter(|_| pads),
            fixed,
        })
    }

    /// Checks whether `padding` adds tokens up to a length.
    fn pads_to_length(
        &self,
        kwargs: &serde_json::Map<String, Json>,
        has_max_length: bool,
    ) -> Result<bool, Exception> {
        let (pads, to_length) = match kwargs.get("padding").unwrap_or(&Json::Bool(false)) {
            Json::Bool(on) => (*on, false),
            Json::String(word) => match word.as_str() {
                "do_not_pad" => (false, false),
                "longest" => (true, false),
                // Without a length, transformers does not pad.
                "max_length" if !has_max_length && self.model_max_length.is_none() => {
                    (false, false)
                }
                "max_length" => (true, true),
                _ => return Err(invalid("PaddingStrategy")),
            },
            _ => return Err(invalid("PaddingStrategy")),
        };
        if pads && !self.has_pad_token {
            return Err(Exception::new(
                "ValueError",
                "the tokenizer does not have a padding token",
            ));
        }
        Ok(to_length)
    }
}

fn invalid(name: &str) -> Exception {
    Exception::new("ValueError", format!("not a valid {name}"))
}

/// Checks whether `truncation` truncates.
fn truncates(
    kwargs: &serde_json::Map<String, Json>,
    has_max_length: bool,
) -> Result<bool, Exception> {
    match kwargs.get("truncation").unwrap_or(&Json::Bool(false)) {
        Json::Null => {
            let padding = kwargs.get("padding");
            Ok(has_max_length && padding.is_none_or(|padding| *padding == Json::Bool(false)))
        }
        Json::Bool(on) => Ok(*on),
        Json::String(word) => match word.as_str() {
            "do_not_truncate" => Ok(false),
            "longest_first" | "only_first" => Ok(true),
            "only_second" if !has_max_length => Ok(false),
            "only_second" => Err(Exception::unsupported("truncating only the second text")),
            _ => Err(invalid("TruncationStrategy")),
        },
        _ => Err(invalid("TruncationStrategy")),
    }
}

/// Refuses parameters that are taken, or that transformers refuses together with the ones that the client gives.
fn refuse_parameters(kwargs: &serde_json::Map<String, Json>) -> Result<(), Exception> {
    for taken in ["self", "conversation", "conversations", "messages"] {
        if kwargs.contains_key(taken) {
            return Err(Exception::new(
                "TypeError",
                format!("got multiple values for argument '{taken}'"),
            ));
        }
    }
    for refused in ["return_assistant_tokens_mask", "continue_final_message"] {
        if kwargs.get(refused).is_some_and(is_true_json) {
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
    Ok(())
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
fn own_templates(source: TemplateSource) -> OwnTemplates<String> {
    let mut files: HashMap<String, String> = source.additional_templates.into_iter().collect();
    if let Some(default) = source.chat_template_jinja {
        if files.is_empty() {
            return OwnTemplates::One(default);
        }
        files.insert("default".to_owned(), default);
    }
    if !files.is_empty() {
        return match (files.len(), files.remove("default")) {
            (1, Some(only)) => OwnTemplates::One(only),
            (_, default) => {
                files.extend(default.map(|text| ("default".to_owned(), text)));
                OwnTemplates::Named(files)
            }
        };
    }
    let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
    match source
        .tokenizer_config
        .as_ref()
        .and_then(|config| config.get("chat_template"))
    {
        Some(Json::String(text)) => OwnTemplates::One(text.clone()),
        Some(Json::Array(items)) => OwnTemplates::Named(
            items
                .iter()
                .filter_map(|i| Some((text(i.get("name"))?, text(i.get("template"))?)))
                .collect(),
        ),
        Some(Json::Object(map)) => OwnTemplates::Named(
            map.iter()
                .filter_map(|(n, t)| Some((n.clone(), text(Some(t))?)))
                .collect(),
        ),
        _ => OwnTemplates::None,
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

/// `documents`: anything iterable, of dicts, passed on unchanged.
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

/// Refuses `tokenizer_kwargs` that transformers refuses or that may change a count.
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
                return Err(Exception::unsupported(format!(
                    "the tokenizer argument '{name}'"
                )));
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
        let one = |text: &str| OwnTemplates::One(text.to_owned());
        let named = |pairs: &[(&str, &str)]| {
            OwnTemplates::Named(
                pairs
                    .iter()
                    .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                    .collect(),
            )
        };
        let check = |file: Option<&str>,
                     additional: &[(&str, &str)],
                     config: Option<Json>,
                     expected: OwnTemplates<String>| {
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
        check(None, &[], None, OwnTemplates::None);
        check(None, &[], Some(json!({})), OwnTemplates::None);
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
