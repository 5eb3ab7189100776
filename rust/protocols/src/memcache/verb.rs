//! The commands, and what they have in common.

/// A command of the text protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `get KEY…`
    Get,
    /// `gets KEY…`: with each item's number for `cas`.
    Gets,
    /// `gat EXPTIME KEY…`: get and touch.
    Gat,
    /// `gats EXPTIME KEY…`
    Gats,
    /// `set KEY FLAGS EXPTIME BYTES [noreply]`, a block behind it.
    Set,
    /// As `set`, where there is no such item.
    Add,
    /// As `set`, where there is one.
    Replace,
    /// As `set`, behind what there is.
    Append,
    /// As `set`, before what there is.
    Prepend,
    /// As `set` with the number of what it replaces.
    Cas,
    /// `delete KEY [0] [noreply]`
    Delete,
    /// `incr KEY DELTA [noreply]`
    Incr,
    /// `decr KEY DELTA [noreply]`
    Decr,
    /// `touch KEY EXPTIME [noreply]`
    Touch,
    /// `stats [WORD…]`
    Stats,
    /// `verbosity LEVEL [noreply]`
    Verbosity,
    /// `version`
    Version,
    /// `flush_all [DELAY] [noreply]`
    FlushAll,
    /// `quit`
    Quit,
    /// `mg KEY FLAG…`
    MetaGet,
    /// `ms KEY BYTES FLAG…`, a block behind it.
    MetaSet,
    /// `md KEY FLAG…`
    MetaDelete,
    /// `ma KEY FLAG…`
    MetaArithmetic,
    /// `mn`
    MetaNoop,
    /// `me KEY FLAG…`
    MetaDebug,
}

/// What commands have in common: where their keys stand, and what answers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Keys behind the command; answered with values.
    Get,
    /// Keys behind a time; answered with values.
    Gat,
    /// One key and a block; answered with a line.
    Store,
    /// One key and a time.
    Touch,
    /// One key and a number.
    Arithmetic,
    /// One key.
    Delete,
    /// One key but for `mn`; see [`Verb`] for which.
    Meta,
    /// No key.
    Stats,
    /// No key.
    Version,
    /// No key.
    Verbosity,
    /// No key.
    FlushAll,
    /// No key and no answer: the connection ends.
    Quit,
}

impl Verb {
    /// Every command.
    pub const ALL: [Verb; 25] = [
        Verb::Get,
        Verb::Gets,
        Verb::Gat,
        Verb::Gats,
        Verb::Set,
        Verb::Add,
        Verb::Replace,
        Verb::Append,
        Verb::Prepend,
        Verb::Cas,
        Verb::Delete,
        Verb::Incr,
        Verb::Decr,
        Verb::Touch,
        Verb::Stats,
        Verb::Verbosity,
        Verb::Version,
        Verb::FlushAll,
        Verb::Quit,
        Verb::MetaGet,
        Verb::MetaSet,
        Verb::MetaDelete,
        Verb::MetaArithmetic,
        Verb::MetaNoop,
        Verb::MetaDebug,
    ];

    /// Return the command of that name, which is lower case.
    #[must_use]
    pub fn of(word: &[u8]) -> Option<Verb> {
        Some(match word {
            b"get" => Verb::Get,
            b"set" => Verb::Set,
            b"gets" => Verb::Gets,
            b"gat" => Verb::Gat,
            b"gats" => Verb::Gats,
            b"add" => Verb::Add,
            b"replace" => Verb::Replace,
            b"append" => Verb::Append,
            b"prepend" => Verb::Prepend,
            b"cas" => Verb::Cas,
            b"delete" => Verb::Delete,
            b"incr" => Verb::Incr,
            b"decr" => Verb::Decr,
            b"touch" => Verb::Touch,
            b"stats" => Verb::Stats,
            b"verbosity" => Verb::Verbosity,
            b"version" => Verb::Version,
            b"flush_all" => Verb::FlushAll,
            b"quit" => Verb::Quit,
            b"mg" => Verb::MetaGet,
            b"ms" => Verb::MetaSet,
            b"md" => Verb::MetaDelete,
            b"ma" => Verb::MetaArithmetic,
            b"mn" => Verb::MetaNoop,
            b"me" => Verb::MetaDebug,
            _ => return None,
        })
    }

    /// Return the command's word; also the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Gets => "gets",
            Verb::Gat => "gat",
            Verb::Gats => "gats",
            Verb::Set => "set",
            Verb::Add => "add",
            Verb::Replace => "replace",
            Verb::Append => "append",
            Verb::Prepend => "prepend",
            Verb::Cas => "cas",
            Verb::Delete => "delete",
            Verb::Incr => "incr",
            Verb::Decr => "decr",
            Verb::Touch => "touch",
            Verb::Stats => "stats",
            Verb::Verbosity => "verbosity",
            Verb::Version => "version",
            Verb::FlushAll => "flush_all",
            Verb::Quit => "quit",
            Verb::MetaGet => "mg",
            Verb::MetaSet => "ms",
            Verb::MetaDelete => "md",
            Verb::MetaArithmetic => "ma",
            Verb::MetaNoop => "mn",
            Verb::MetaDebug => "me",
        }
    }

    /// Return what the command has in common with others.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Verb::Get | Verb::Gets => Kind::Get,
            Verb::Gat | Verb::Gats => Kind::Gat,
            Verb::Set | Verb::Add | Verb::Replace | Verb::Append | Verb::Prepend | Verb::Cas => Kind::Store,
            Verb::Delete => Kind::Delete,
            Verb::Incr | Verb::Decr => Kind::Arithmetic,
            Verb::Touch => Kind::Touch,
            Verb::Stats => Kind::Stats,
            Verb::Verbosity => Kind::Verbosity,
            Verb::Version => Kind::Version,
            Verb::FlushAll => Kind::FlushAll,
            Verb::Quit => Kind::Quit,
            Verb::MetaGet
            | Verb::MetaSet
            | Verb::MetaDelete
            | Verb::MetaArithmetic
            | Verb::MetaNoop
            | Verb::MetaDebug => Kind::Meta,
        }
    }

    /// Tell whether it is one of the meta commands.
    #[must_use]
    pub const fn is_meta(self) -> bool {
        matches!(self.kind(), Kind::Meta)
    }

    /// Tell whether the packaged twemproxy has the command; it closes the connection for any other.
    #[must_use]
    pub const fn is_twemproxys(self) -> bool {
        match self.kind() {
            Kind::Get | Kind::Store | Kind::Delete | Kind::Arithmetic | Kind::Touch | Kind::Quit | Kind::Version => {
                true
            }
            Kind::Gat | Kind::Meta | Kind::Stats | Kind::Verbosity | Kind::FlushAll => false,
        }
    }
}
