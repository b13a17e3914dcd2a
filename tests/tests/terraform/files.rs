//! Terraform files as a tree: the modules, what they declare, and what their expressions refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hcl::expr::{Expression, ObjectKey, Operation, TraversalOperator};
use hcl::structure::{Block, Body};
use hcl::template::{Element, Template};
use tahoe_tests::program::repository;

/// One folder of Terraform files.
pub struct Module {
    pub folder: PathBuf,
    pub body: Body,
}

impl Module {
    pub fn read(folder: &Path) -> Self {
        let mut text = String::new();
        let mut paths: Vec<_> = entries(folder);
        paths.retain(|path| path.extension().is_some_and(|end| end == "tf"));
        for path in paths {
            let part = fs::read_to_string(&path).expect("readable");
            hcl::parse(&part).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            text += &part;
            text += "\n";
        }
        let body = hcl::parse(&text).expect("every file of it was parsed");
        Self { folder: folder.to_owned(), body }
    }

    pub fn blocks(&self, kind: &str) -> Vec<&Block> {
        self.body.blocks().filter(|block| block.identifier() == kind).collect()
    }

    /// First labels of the blocks of that kind.
    pub fn names(&self, kind: &str) -> BTreeSet<String> {
        self.blocks(kind).into_iter().map(|block| label(block, 0)).collect()
    }

    /// `(type, name)` of resources or data sources.
    pub fn typed(&self, kind: &str) -> BTreeSet<(String, String)> {
        self.blocks(kind).into_iter().map(|block| (label(block, 0), label(block, 1))).collect()
    }

    pub fn locals(&self) -> BTreeMap<String, &Expression> {
        let bodies = self.blocks("locals").into_iter().flat_map(|block| block.body().attributes());
        bodies.map(|attribute| (attribute.key().to_owned(), attribute.expr())).collect()
    }

    /// The module that a call names.
    pub fn called(&self, call: &Block) -> Module {
        let source = attribute(call.body(), "source").and_then(text).expect("a source");
        let folder = self.folder.join(source).canonicalize().expect("the source is a folder here");
        Self::read(&folder)
    }

    pub fn name(&self) -> String {
        let root = root().canonicalize().expect("it is there");
        let folder = self.folder.canonicalize().expect("it is there");
        format!("terraform/{}", folder.strip_prefix(root).expect("below the root").display())
    }
}

pub fn root() -> PathBuf {
    repository().join("terraform")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = list.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

pub fn folders(folder: &str) -> Vec<Module> {
    let mut paths = entries(&root().join(folder));
    paths.retain(|path| path.is_dir());
    paths.iter().map(|path| Module::read(path)).collect()
}

/// The root, the modules and the examples.
pub fn all() -> Vec<Module> {
    let mut modules = vec![Module::read(&root())];
    modules.extend(folders("modules"));
    modules.extend(folders("examples"));
    assert!(modules.len() >= 15, "{}", modules.len());
    modules
}

pub fn label(block: &Block, at: usize) -> String {
    block.labels().get(at).expect("such a block has a name").as_str().to_owned()
}

pub fn attribute<'b>(body: &'b Body, name: &str) -> Option<&'b Expression> {
    body.attributes().find(|attribute| attribute.key() == name).map(hcl::Attribute::expr)
}

pub fn text(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::String(text) => Some(text),
        _ => None,
    }
}

/// What stands literally in a text, between what is put into it.
pub fn literal(expression: &Expression) -> String {
    let Expression::TemplateExpr(template) = expression else {
        return text(expression).unwrap_or_default().to_owned();
    };
    let template = Template::from_expr(template).expect("it was parsed once");
    let parts = template.elements().iter().map(|element| match element {
        Element::Literal(part) => part.as_str(),
        _ => "",
    });
    parts.collect()
}

/// A reference: a name, and the attributes behind it; `[]` stands for an index or a splat.
pub type Reference = Vec<String>;

/// Calls `found` with every reference of `expression` that is not to a name of its own.
fn walk(expression: &Expression, own: &[String], found: &mut dyn FnMut(Reference)) {
    match expression {
        Expression::Array(items) => items.iter().for_each(|item| walk(item, own, found)),
        Expression::Object(object) => {
            for (key, value) in object {
                if let ObjectKey::Expression(key) = key {
                    walk(key, own, found);
                }
                walk(value, own, found);
            }
        }
        Expression::TemplateExpr(template) => {
            let template = Template::from_expr(template).expect("it was parsed once");
            for element in template.elements() {
                match element {
                    Element::Interpolation(inner) => walk(&inner.expr, own, found),
                    Element::Directive(_) => panic!("no directives are used"),
                    Element::Literal(_) => {}
                }
            }
        }
        Expression::Variable(name) => told(vec![name.to_string()], own, found),
        Expression::Traversal(traversal) => {
            let mut reference = match &traversal.expr {
                Expression::Variable(name) => vec![name.to_string()],
                inner => {
                    walk(inner, own, found);
                    vec![]
                }
            };
            for operator in &traversal.operators {
                match operator {
                    TraversalOperator::GetAttr(name) => reference.push(name.to_string()),
                    TraversalOperator::Index(index) => {
                        walk(index, own, found);
                        reference.push("[]".to_owned());
                    }
                    _ => reference.push("[]".to_owned()),
                }
            }
            if matches!(traversal.expr, Expression::Variable(_)) {
                told(reference, own, found);
            }
        }
        Expression::FuncCall(call) => call.args.iter().for_each(|item| walk(item, own, found)),
        Expression::Parenthesis(inner) => walk(inner, own, found),
        Expression::Conditional(inner) => {
            let parts = [&inner.cond_expr, &inner.true_expr, &inner.false_expr];
            parts.into_iter().for_each(|part| walk(part, own, found));
        }
        Expression::Operation(operation) => match &**operation {
            Operation::Unary(inner) => walk(&inner.expr, own, found),
            Operation::Binary(inner) => {
                walk(&inner.lhs_expr, own, found);
                walk(&inner.rhs_expr, own, found);
            }
        },
        Expression::ForExpr(inner) => {
            walk(&inner.collection_expr, own, found);
            let mut own = own.to_vec();
            own.extend(inner.key_var.iter().map(ToString::to_string));
            own.push(inner.value_var.to_string());
            let parts = [&inner.key_expr, &inner.cond_expr];
            parts.into_iter().flatten().for_each(|part| walk(part, &own, found));
            walk(&inner.value_expr, &own, found);
        }
        _ => {}
    }
}

fn told(reference: Reference, own: &[String], found: &mut dyn FnMut(Reference)) {
    if !own.contains(&reference[0]) {
        found(reference);
    }
}

/// Walks everything in `body`; the iterator of a dynamic block is known in it.
pub fn walk_body(body: &Body, own: &[String], found: &mut dyn FnMut(Reference)) {
    for attribute in body.attributes() {
        // Those name arguments, not values.
        if attribute.key() != "ignore_changes" {
            walk(attribute.expr(), own, found);
        }
    }
    for block in body.blocks() {
        let mut own = own.to_vec();
        if block.identifier() == "dynamic" {
            own.push(label(block, 0));
        }
        walk_body(block.body(), &own, found);
    }
}
