//! The word before a message's colon: a severity, or the name of one of the notes that may follow
//! a message. A server writes both in the language of `lc_messages`.

use memchr::memchr;

/// Bytes of the longest word, in Chinese.
const WORD_BYTES_MAX: usize = 40;

/// What a line begins after its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// A message of that severity, by its English name in lower case.
    Level(&'static str),
    /// More about the message before it.
    Note(Note),
}

/// The notes of a message, in the order in which the server writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    Detail,
    Hint,
    Query,
    Context,
    Location,
    Backtrace,
    Statement,
}

impl Note {
    /// The word in lower case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Detail => "detail",
            Self::Hint => "hint",
            Self::Query => "query",
            Self::Context => "context",
            Self::Location => "location",
            Self::Backtrace => "backtrace",
            Self::Statement => "statement",
        }
    }
}

use Label::{Level, Note as Of};

/// The words of PostgreSQL's translations into German, Spanish, French, Italian, Japanese,
/// Portuguese, Russian and Chinese, where they differ from the English ones.
const TRANSLATED: [(&str, Label); 66] = [
    ("HINWEIS", Level("notice")),
    ("WARNUNG", Level("warning")),
    ("FEHLER", Level("error")),
    ("PANIK", Level("panic")),
    ("TIPP", Of(Note::Hint)),
    ("ANFRAGE", Of(Note::Query)),
    ("ZUSAMMENHANG", Of(Note::Context)),
    ("ANWEISUNG", Of(Note::Statement)),
    ("DETALLE", Of(Note::Detail)),
    ("SUGERENCIA", Of(Note::Hint)),
    ("CONSULTA", Of(Note::Query)),
    ("CONTEXTO", Of(Note::Context)),
    ("SENTENCIA", Of(Note::Statement)),
    ("ATTENTION", Level("warning")),
    ("ERREUR", Level("error")),
    ("DÉTAIL", Of(Note::Detail)),
    ("ASTUCE", Of(Note::Hint)),
    ("REQUÊTE", Of(Note::Query)),
    ("CONTEXTE", Of(Note::Context)),
    ("INSTRUCTION", Of(Note::Statement)),
    ("PILE D'APPEL", Of(Note::Backtrace)),
    ("NOTIFICA", Level("notice")),
    ("ATTENZIONE", Level("warning")),
    ("ERRORE", Level("error")),
    ("FATALE", Level("fatal")),
    ("PANICO", Level("panic")),
    ("DETTAGLI", Of(Note::Detail)),
    ("SUGGERIMENTO", Of(Note::Hint)),
    ("CONTESTO", Of(Note::Context)),
    ("ISTRUZIONE", Of(Note::Statement)),
    ("詳細", Of(Note::Detail)),
    ("ヒント", Of(Note::Hint)),
    ("問い合わせ", Of(Note::Query)),
    ("文脈", Of(Note::Context)),
    ("文", Of(Note::Statement)),
    ("バックトレース", Of(Note::Backtrace)),
    ("ERRO", Level("error")),
    ("PÂNICO", Level("panic")),
    ("DETALHE", Of(Note::Detail)),
    ("DICA", Of(Note::Hint)),
    ("COMANDO", Of(Note::Statement)),
    ("СООБЩЕНИЕ", Level("log")),
    ("ИНФОРМАЦИЯ", Level("info")),
    ("ЗАМЕЧАНИЕ", Level("notice")),
    ("ПРЕДУПРЕЖДЕНИЕ", Level("warning")),
    ("ОШИБКА", Level("error")),
    ("ВАЖНО", Level("fatal")),
    ("ПАНИКА", Level("panic")),
    ("ОТЛАДКА", Level("debug")),
    ("ПОДРОБНОСТИ", Of(Note::Detail)),
    ("ПОДСКАЗКА", Of(Note::Hint)),
    ("ЗАПРОС", Of(Note::Query)),
    ("КОНТЕКСТ", Of(Note::Context)),
    ("ОПЕРАТОР", Of(Note::Statement)),
    ("СТЕК", Of(Note::Backtrace)),
    ("日志", Level("log")),
    ("信息", Level("info")),
    ("注意", Level("notice")),
    ("警告", Level("warning")),
    ("错误", Level("error")),
    ("致命错误", Level("fatal")),
    ("调试", Level("debug")),
    ("详细信息", Of(Note::Detail)),
    ("提示", Of(Note::Hint)),
    ("上下文", Of(Note::Context)),
    ("语句", Of(Note::Statement)),
];

impl Label {
    /// The label of that word.
    pub(super) fn named(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"LOG" => Level("log"),
            b"ERROR" => Level("error"),
            b"STATEMENT" => Of(Note::Statement),
            b"DETAIL" => Of(Note::Detail),
            b"CONTEXT" => Of(Note::Context),
            b"HINT" => Of(Note::Hint),
            b"FATAL" => Level("fatal"),
            b"WARNING" => Level("warning"),
            b"NOTICE" => Level("notice"),
            b"INFO" => Level("info"),
            b"PANIC" => Level("panic"),
            b"DEBUG" => Level("debug"),
            b"DEBUG1" => Level("debug1"),
            b"DEBUG2" => Level("debug2"),
            b"DEBUG3" => Level("debug3"),
            b"DEBUG4" => Level("debug4"),
            b"DEBUG5" => Level("debug5"),
            b"QUERY" => Of(Note::Query),
            b"LOCATION" => Of(Note::Location),
            b"BACKTRACE" => Of(Note::Backtrace),
            // No word has small letters of ASCII or signs in it.
            _ if !word
                .iter()
                .all(|b| b.is_ascii_uppercase() || *b >= 0x80 || b" '".contains(b)) =>
            {
                return None;
            }
            _ => {
                let of = |(name, _): &&(&str, Label)| name.as_bytes() == word;
                return TRANSLATED.iter().find(of).map(|(_, label)| *label);
            }
        })
    }

    /// The label at the start of `text` and the length of it with its colon and two spaces.
    pub(super) fn at(text: &[u8]) -> Option<(Self, usize)> {
        if !text.first().is_some_and(|byte| byte.is_ascii_uppercase() || *byte >= 0x80) {
            return None;
        }
        let colon = memchr(b':', &text[..text.len().min(WORD_BYTES_MAX)])?;
        let spaces = text[colon + 1..].iter().take(2).take_while(|byte| **byte == b' ').count();
        if spaces == 0 && !matches!(text.get(colon + 1), None | Some(b'\n' | b'\r')) {
            return None;
        }
        // French has a space before some of its colons.
        let word = text[..colon].strip_suffix(b" ").unwrap_or(&text[..colon]);
        Some((Self::named(word)?, colon + 1 + spaces))
    }
}
