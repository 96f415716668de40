//! The plainest of models, which more than one test needs: records that are told apart by their key alone.

/// Makes such a model, with what it has besides.
macro_rules! plain_model {
    ($(#[$doc:meta])* $model:ident { $($more:item)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $model;

        impl persist_core::Model for $model {
            type Part = ();
            type Value = ();
            const PART_FIELDS: &'static [&'static str] = &[];
            const TABLE: &'static str = "storage";
            const COLUMNS: &'static [persist_core::Column] = &[
                persist_core::Column { name: "key", source: persist_core::Source::Key },
                persist_core::Column { name: "data", source: persist_core::Source::Data },
            ];
            $($more)*

            fn part_text(_: &(), _: usize) -> Option<&str> {
                None
            }

            fn part_from(_: &[Option<&str>]) {}
        }
    };
}

pub(crate) use plain_model;
