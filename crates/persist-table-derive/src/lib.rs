//! The derive macro `Table` of `persist-table`, which re-exports it: a struct's fields are the columns of a table.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Expr, Field, Fields, LitStr, Result, parse_macro_input};

/// Makes a table of a struct: its fields are the columns, in their order, with the types that `Field` says.
///
/// Of the struct can be said `#[table(name = "…")]`; otherwise the table is called as the struct is, in small letters with
/// underscores. Of a field: `#[table(primary_key)]`, which one of them has, `#[table(unique)]`, `#[table(index)]`,
/// `#[table(default)]` for the type's default, and `#[table(default = …)]` for any value. `Option<T>` takes null.
/// `#[serde(rename = "…")]` names the column, too.
#[proc_macro_derive(Table, attributes(table, serde))]
pub fn derive_table(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    table(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn table(input: &DeriveInput) -> Result<Tokens> {
    let Data::Struct(data) = &input.data else { return Err(Error::new(input.span(), "a table is made of a struct")) };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.span(), "the columns of a table are named fields"));
    };
    let mut name = None;
    for attribute in named(&input.attrs, "table") {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("of a table can be said: name"));
            }
            name = Some(meta.value()?.parse::<LitStr>()?.value());
            Ok(())
        })?;
    }
    refuse_of_serde(&input.attrs, &["rename_all", "transparent", "from", "into", "remote"])?;
    let name = name.unwrap_or_else(|| snake_case(&input.ident.to_string()));
    let columns = fields.named.iter().map(column).collect::<Result<Vec<_>>>()?;
    let ident = &input.ident;
    let (of_impl, of_type, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #of_impl ::persist_table::Table for #ident #of_type #bounds {
            const NAME: &'static str = #name;

            fn schema() -> ::persist_table::Schema {
                ::persist_table::Schema::new(#name)#(.column(#columns))*
            }
        }
    })
}

fn column(field: &Field) -> Result<Tokens> {
    let kind = &field.ty;
    let mut name = field.ident.as_ref().map(|ident| ident.to_string().trim_start_matches("r#").to_owned());
    refuse_of_serde(&field.attrs, &["flatten", "skip", "skip_serializing", "skip_deserializing", "alias"])?;
    for attribute in named(&field.attrs, "serde") {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                name = Some(meta.value()?.parse::<LitStr>()?.value());
            } else if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<Expr>()?;
            }
            Ok(())
        })?;
    }
    let name = name.ok_or_else(|| Error::new(field.span(), "a column has a name"))?;
    let mut said = Vec::new();
    for attribute in named(&field.attrs, "table") {
        attribute.parse_nested_meta(|meta| {
            said.push(if meta.path.is_ident("primary_key") {
                quote!(.primary_key())
            } else if meta.path.is_ident("unique") {
                quote!(.unique())
            } else if meta.path.is_ident("index") {
                quote!(.index())
            } else if meta.path.is_ident("nullable") {
                quote!(.nullable())
            } else if meta.path.is_ident("default") {
                let value = match meta.input.peek(syn::Token![=]) {
                    true => {
                        let value: Expr = meta.value()?.parse()?;
                        quote!(#value)
                    }
                    false => quote!(<#kind as ::core::default::Default>::default()),
                };
                quote!(.default_value(&#value))
            } else {
                return Err(meta.error("of a column can be said: primary_key, unique, index, nullable, default"));
            });
            Ok(())
        })?;
    }
    Ok(quote!(::persist_table::column_of::<#kind>(#name)#(#said)*))
}

fn named<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a Attribute> {
    attributes.iter().filter(move |attribute| attribute.path().is_ident(name))
}

/// What would make the record's members others than the columns.
fn refuse_of_serde(attributes: &[Attribute], words: &[&str]) -> Result<()> {
    for attribute in named(attributes, "serde") {
        attribute.parse_nested_meta(|meta| {
            if let Some(word) = words.iter().find(|word| meta.path.is_ident(word)) {
                return Err(meta.error(format!("a table's columns are its fields: no {word}; rename single fields")));
            }
            if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<Expr>()?;
            } else if meta.input.peek(syn::token::Paren) {
                meta.parse_nested_meta(|_| Ok(()))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    let chars: Vec<char> = name.trim_start_matches("r#").chars().collect();
    for (at, char) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        let begins_word =
            before.is_some_and(|before| !before.is_uppercase()) || after.is_some_and(|c| c.is_lowercase());
        if char.is_uppercase() && before.is_some() && begins_word && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(char.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn a_table_is_called_as_its_struct_in_small_letters() {
        for (name, table) in
            [("Student", "student"), ("CourseGrade", "course_grade"), ("HTTPLog", "http_log"), ("A1", "a1")]
        {
            assert_eq!(snake_case(name), table);
        }
    }
}
