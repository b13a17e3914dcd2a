//! The Terraform files: what they name exists, what they leave out may be left out, what they give
//! the binaries is known to them, and bad values are refused before anything is made.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::process::{Command, Output};

use hcl::expr::Expression;
use hcl::structure::{Block, Body};
use serde_json::Value;
use tahoe_tests::program::{repository, run};

use files::{Module, all, attribute, folders, label, literal, root, text, walk_body};

/// What the provider takes, if it is there to be asked.
fn schema() -> Option<Value> {
    let path = repository().join("../shared/terraform/aws-schema-5.32.json");
    match fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).expect("the schema is JSON")),
        Err(_) => {
            eprintln!("skipped: {} is not there", path.display());
            None
        }
    }
}

/// New in 5.32 by its change log, and left out of the schema that was taken of it.
const NOT_IN_SCHEMA: &str = "aws_msk_bootstrap_brokers";

/// What Terraform itself takes in a resource.
const META: [&str; 5] = ["count", "for_each", "depends_on", "provider", "lifecycle"];

/// Compares a block with what the provider says of it, and everything in it.
fn check_body(place: &str, body: &Body, schema: &Value, top: bool, wrong: &mut Vec<String>) {
    let (attributes, blocks) = (&schema["attributes"], &schema["blocks"]);
    for attribute in body.attributes().map(hcl::Attribute::key) {
        match attributes[attribute].as_str() {
            _ if top && META.contains(&attribute) => {}
            None => wrong.push(format!("{place}: no argument {attribute}")),
            Some(kind) if kind.split(' ').any(|word| word == "computed") => {
                wrong.push(format!("{place}: {attribute} cannot be set"));
            }
            Some(_) => {}
        }
    }
    let mut there: BTreeMap<String, u64> = BTreeMap::new();
    for block in body.blocks().filter(|block| !(top && META.contains(&block.identifier()))) {
        let dynamic = block.identifier() == "dynamic";
        let name = if dynamic { label(block, 0) } else { block.identifier().to_owned() };
        *there.entry(name.clone()).or_default() += 1;
        let place = format!("{place}.{name}");
        let inner = if dynamic {
            block.body().blocks().find(|inner| inner.identifier() == "content").map(Block::body)
        } else {
            Some(block.body())
        };
        match (blocks.get(&name), inner) {
            (Some(schema), Some(inner)) => check_body(&place, inner, schema, false, wrong),
            _ => wrong.push(format!("{place}: no such block, or one without content")),
        }
    }
    for (name, kind) in attributes.as_object().into_iter().flatten() {
        let required = kind.as_str().is_some_and(|kind| kind.ends_with("required"));
        if required && attribute(body, name).is_none() {
            wrong.push(format!("{place}: {name} is required"));
        }
    }
    for (name, block) in blocks.as_object().into_iter().flatten() {
        let there = there.get(name).copied().unwrap_or_default();
        let (least, most) = (block["min"].as_u64().unwrap_or(0), block["max"].as_u64());
        if there < least || most.is_some_and(|most| most > 0 && there > most) {
            wrong.push(format!("{place}: {there} blocks {name}, not {least} to {most:?}"));
        }
    }
}

#[test]
fn every_argument_and_block_is_one_that_the_provider_has() {
    let Some(schema) = schema() else { return };
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for module in all() {
        for (kind, group) in [("resource", "resources"), ("data", "data_sources")] {
            for block in module.blocks(kind) {
                let place = format!("{}: {}.{}", module.name(), label(block, 0), label(block, 1));
                match schema[group].get(label(block, 0)) {
                    Some(schema) => check_body(&place, block.body(), schema, true, &mut wrong),
                    None if label(block, 0) == NOT_IN_SCHEMA => {}
                    None => wrong.push(format!("{place}: no such {kind}")),
                }
                checked += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 100, "{checked}");
    eprintln!("{checked} resources and data sources are as the provider has them");
}

#[test]
fn every_reference_is_to_something_that_is_there() {
    let schema = schema().unwrap_or_default();
    let mut wrong = Vec::new();
    for module in all() {
        let name = module.name();
        let (variables, locals) = (module.names("variable"), module.locals());
        let (resources, data) = (module.typed("resource"), module.typed("data"));
        let calls: BTreeMap<_, _> = module
            .blocks("module")
            .into_iter()
            .map(|call| (label(call, 0), module.called(call).names("output")))
            .collect();
        let has = |set: &BTreeSet<(String, String)>, group: &str, path: &[String]| {
            let field = path[2..].iter().find(|part| *part != "[]");
            let known = &schema[group][&path[0]];
            let field_is_known = field.is_none_or(|field| {
                known.is_null()
                    || ["attributes", "blocks"].iter().any(|of| known[of].get(field).is_some())
            });
            set.contains(&(path[0].clone(), path[1].clone())) && field_is_known
        };
        walk_body(&module.body, &[], &mut |path| {
            let second = path.get(1).cloned().unwrap_or_default();
            let found = match path[0].as_str() {
                "var" => variables.contains(&second),
                "local" => locals.contains_key(&second),
                "module" => calls.get(&second).is_some_and(|outputs| {
                    let output = path[2..].iter().find(|part| *part != "[]");
                    output.is_none_or(|output| outputs.contains(output))
                }),
                "data" => path.len() > 2 && has(&data, "data_sources", &path[1..]),
                "each" | "count" | "path" | "string" | "number" | "bool" => true,
                _ => path.len() > 1 && has(&resources, "resources", &path),
            };
            if !found {
                wrong.push(format!("{name}: {}", path.join(".")));
            }
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_call_of_a_module_gives_what_it_needs_and_nothing_that_it_has_not() {
    for module in all() {
        for call in module.blocks("module") {
            let called = module.called(call);
            let place = format!("{}: module {}", module.name(), label(call, 0));
            let given: BTreeSet<_> = call.body().attributes().map(hcl::Attribute::key).collect();
            let meta = ["source", "count", "for_each", "depends_on", "providers"];
            for name in given.iter().filter(|name| !meta.contains(name)) {
                assert!(called.names("variable").contains(*name), "{place}: no variable {name}");
            }
            for variable in called.blocks("variable") {
                let name = label(variable, 0);
                let optional = attribute(variable.body(), "default").is_some();
                assert!(optional || given.contains(name.as_str()), "{place}: {name} is not given");
            }
        }
    }
}

#[test]
fn every_variable_and_output_says_what_it_is_and_every_module_has_its_page() {
    for module in all() {
        let place = module.name();
        for variable in module.blocks("variable") {
            let body = variable.body();
            let described = attribute(body, "description").is_some();
            assert!(described && attribute(body, "type").is_some(), "{place}: {variable:?}");
        }
        for output in module.blocks("output") {
            assert!(attribute(output.body(), "description").is_some(), "{place}: {output:?}");
        }
        let page = fs::read_to_string(module.folder.join("README.md"));
        let page = page.unwrap_or_else(|error| panic!("{place}/README.md: {error}"));
        for kind in ["variable", "output"] {
            for name in module.names(kind) {
                let named = page.contains(&format!("`{name}`"));
                assert!(named || place.contains("examples"), "{place}/README.md lacks {name}");
            }
        }
    }
}

/// Keys of objects in `expression` that are names of settings.
fn settings(expression: &Expression, found: &mut BTreeSet<String>) {
    let debug = format!("{expression:?}");
    // The tree's own text names every identifier; a setting is one in capitals.
    for word in debug.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let named = (word.contains('_') && word.len() > 4) || word.starts_with("PG");
        if named && word.chars().all(capital) {
            found.insert(word.to_owned());
        }
    }
}

/// The binary that a producer names, where its own name is not one.
fn binary_of(producer: &Expression) -> Option<&str> {
    let Expression::Object(producer) = producer else { return None };
    let named = producer.iter().find(|(key, _)| key.to_string() == "binary");
    named.and_then(|(_, binary)| text(binary))
}

fn assert_known(binary: &str, arguments: &[&str], names: &BTreeSet<String>) {
    assert!(!names.is_empty(), "{binary} has no settings");
    let help = run(binary, &[arguments, &["--help"]].concat()).stdout;
    for name in names {
        let known =
            help.contains(&format!("[env: {name}]")) || help.contains(&format!("[env: {name}="));
        assert!(known, "{binary} knows no {name}");
    }
}

#[test]
fn every_setting_that_a_container_is_given_exists_in_its_binary() {
    let module = Module::read(&root());
    let locals = module.locals();
    let of = |groups: &[&str]| {
        let mut names = BTreeSet::new();
        groups.iter().for_each(|group| settings(locals[*group], &mut names));
        names
    };
    let both = ["kafka_environment", "kafka_secrets"];
    let elastic = ["elastic_environment", "elastic_secrets"];
    let mut steps = of(&[&both[..], &elastic].concat());
    assert_known("tahoe-transformer", &[], &steps);
    let process = of(&["process_environment"]);
    assert_known("tahoe-transformer", &[], &process);
    let calls = module.blocks("module");
    let call = |name: &str| calls.iter().find(|call| label(call, 0) == name).expect("it is there");
    settings(attribute(call("transformer").body(), "steps").expect("steps"), &mut steps);
    assert_known("tahoe", &["setup"], &steps);
    let mut every = of(&both);
    every.extend(process);
    settings(attribute(call("producer").body(), "environment").expect("settings"), &mut every);
    let Expression::Object(binaries) = locals["binary_environment"] else { panic!("an object") };
    assert_eq!(binaries.len(), 6);
    for (binary, own) in binaries {
        let mut names = every.clone();
        settings(own, &mut names);
        assert_known(&format!("tahoe-{binary}"), &[], &names);
    }
    for example in folders("examples") {
        let calls = example.blocks("module");
        let call = calls.iter().find(|call| label(call, 0) == "tahoe").expect("it uses the root");
        let Some(Expression::Object(producers)) = attribute(call.body(), "producers") else {
            panic!("{} has no producers", example.name())
        };
        for (name, producer) in producers {
            let (mut names, name) = (every.clone(), name.to_string());
            settings(producer, &mut names);
            let binary = binary_of(producer).unwrap_or(&name);
            assert_known(&format!("tahoe-{binary}"), &[], &names);
        }
    }
}

/// Terraform in a folder of its own, where it needs no provider; nothing where it is not installed.
fn terraform(
    files: &[(&str, String)],
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Option<Output> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("it can be written");
    }
    let mut command = Command::new("terraform");
    command.args(arguments).current_dir(folder.path());
    command.envs(settings.iter().map(|(name, value)| (format!("TF_VAR_{name}"), *value)));
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: terraform: {error}");
            None
        }
    }
}

#[test]
fn the_files_are_laid_out_as_terraform_lays_them_out() {
    let folder = root().display().to_string();
    let check = ["fmt", "-check", "-recursive", "-diff", &folder];
    let Some(checked) = terraform(&[], &check, &[]) else { return };
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn bad_values_are_refused_before_anything_is_made() {
    let variables = fs::read_to_string(root().join("variables.tf")).expect("readable");
    let plan = |settings: &[(&str, &str)]| {
        let usual = [("image_prefix", "ghcr.io/acme/"), ("image_tag", "0.1.0")];
        let files = [("variables.tf", variables.clone())];
        let arguments = ["plan", "-no-color", "-input=false"];
        let output = terraform(&files, &arguments, &[&usual[..], settings].concat())?;
        let said = [output.stdout, output.stderr].concat();
        // Wrapped at the width of a terminal, behind a rule.
        let said = String::from_utf8_lossy(&said).replace('│', " ");
        Some((output.status.success(), said.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    let Some((taken, said)) = plan(&[]) else { return };
    assert!(taken, "{said}");
    let rules = r#"{events=["laravel.log-acme=14", "mysql.general=30d", "*-acme=forever", "60"]}"#;
    let (taken, said) = plan(&[("retention", rules)]).expect("it is installed");
    assert!(taken, "{said}");
    for kafka in [r#"{type="msk-serverless"}"#, "{iam=true}"] {
        let (taken, said) = plan(&[("kafka", kafka)]).expect("it is installed");
        assert!(taken, "{kafka}: {said}");
    }
    let refused = [
        ("name", "Tahoe", "name has 3 to 16 characters"),
        ("image_tag", "latest", "not latest"),
        ("image_prefix", "ghcr.io/acme", "image_prefix ends in /"),
        ("kafka", r#"{type="serverless"}"#, "kafka.type is msk, msk-serverless"),
        ("kafka", r#"{type="msk-serverless", iam=true}"#, "kafka.iam is for msk"),
        ("kafka", r#"{iam=true, outside=true}"#, "needs kafka.users"),
        ("kafka", r#"{type="external"}"#, "needs kafka.bootstrap_servers"),
        ("kafka", "{broker_count=3}", "multiple of the number of zones"),
        ("kafka", "{outside=true}", "kafka.outside needs domain_name"),
        ("elasticsearch", r#"{type="external", url="http://es:9200"}"#, "needs elasticsearch.url"),
        ("elasticsearch", "{node_count=3}", "node_count is 1, an even number"),
        ("producers", "{oracle={}}", "there are no others"),
        ("producers", r#"{mysql={environment={MYSQL_PASSWORD="x"}}}"#, "belongs into secrets"),
        ("producers", r#"{mysql={secrets={MYSQL_PASSWORD="x"}}}"#, "ARNs of secrets"),
        ("syslog", r#"{allowed_cidrs=["10.0.0.0/8"]}"#, "needs a producer of the name syslog"),
        ("network", r#"{nat="none"}"#, "nothing starts otherwise"),
        ("retention", "{log_days=31}", "one that CloudWatch has"),
        ("retention", r#"{events=["acme: 14"]}"#, "retention.events are rules"),
        ("retention", r#"{events=["60", "0"]}"#, "retention.events are rules"),
        ("domain_name", "Logs", "domain_name is a name like"),
        ("domain_name", "logs.example.com", "domain_name needs zone_id"),
        ("web", "{allowed_cidrs=[]}", "names one network at least"),
    ];
    for (name, value, why) in refused {
        let (taken, said) = plan(&[(name, value)]).expect("it is installed");
        assert!(!taken && said.contains(why), "{name} = {value}: {said}");
    }
}

#[test]
fn what_security_groups_and_fargate_would_refuse_is_refused_by_the_service_module() {
    let variables = root().join("modules/service/variables.tf");
    let files = [("variables.tf", fs::read_to_string(variables).expect("readable"))];
    let cluster = ["arn", "exec_log_group_arn", "log_group_arn", "log_group_name", "name"];
    let cluster = cluster.map(|output| format!("{output}=\"\""));
    let cluster = format!("{{namespace_id=\"\", {}}}", cluster.join(", "));
    let usual = [
        ("name", "tahoe"),
        ("service", "mysql"),
        ("cluster", &cluster),
        ("network", r#"{vpc_id="vpc-1", subnet_ids=[]}"#),
        ("image", "x"),
        ("health_command", "[]"),
        ("kms_key_arn", "x"),
    ];
    let egress = r#"{"database (10.0.0.0/8)"={port=3306, cidrs=["10.0.0.0/8"]}}"#;
    let cases = [
        (("memory", "2048"), None),
        (("egress", egress), None),
        (("cpu", "300"), Some("Fargate has no others")),
        (("memory", "1536"), Some("in whole GiB")),
        (("egress", r#"{"the shop's"={port=1, cidrs=[]}}"#), Some("security groups take no")),
    ];
    for (setting, refused) in cases {
        let arguments = ["plan", "-no-color", "-input=false"];
        let settings = [&usual[..], &[setting]].concat();
        let Some(planned) = terraform(&files, &arguments, &settings) else { return };
        let said = [planned.stdout, planned.stderr].concat();
        let said = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(planned.status.success(), refused.is_none(), "{setting:?}: {said}");
        assert!(refused.is_none_or(|why| said.contains(why)), "{setting:?}: {said}");
    }
}

#[test]
fn descriptions_of_security_groups_have_only_what_ec2_takes() {
    let taken = |c: char| c.is_ascii_alphanumeric() || "_ .:/()#,@[]+=&;{}!$*-".contains(c);
    let mut checked = 0;
    for module in all() {
        let groups = module.blocks("resource").into_iter();
        let groups = groups.filter(|block| label(block, 0).starts_with("aws_security_group"));
        let calls = module.blocks("module").into_iter();
        let calls = calls.filter(|call| module.called(call).folder.ends_with("access"));
        for block in groups.chain(calls) {
            let attributes = block.body().attributes();
            for attribute in attributes.filter(|one| one.key().ends_with("description")) {
                let said = literal(attribute.expr());
                assert!(said.chars().all(taken), "{}: {said}", module.name());
                checked += usize::from(!said.is_empty());
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn a_role_at_msk_is_for_its_own_cluster_and_only_setup_makes_topics() {
    let module = root().join("modules/kafka-iam");
    let read = |name: &str| fs::read_to_string(module.join(name)).expect("readable");
    let shown = "output \"all\" {\n  value = jsonencode({ producer = local.producer, transformer = \
        local.transformer, region = local.region })\n}\n";
    let outputs = read("outputs.tf");
    let value = |name: &str| {
        let (_, rest) = outputs.split_once(&format!("output \"{name}\"")).expect("it is there");
        let (_, rest) = rest.split_once("value = ").expect("a value");
        rest.split_once("\n}").expect("a block ends").0.to_owned()
    };
    let locals = format!(
        "locals {{\n  producer = {}\n  transformer = {}\n}}\n",
        value("producer_statements"),
        value("transformer_statements")
    );
    let files =
        [("variables.tf", read("variables.tf")), ("main.tf", read("main.tf") + &locals + shown)];
    let cluster = "arn:aws-cn:kafka:cn-north-1:123456789012:cluster/tahoe-kafka/ab-cd-5";
    let apply = ["apply", "-no-color", "-input=false", "-auto-approve"];
    let Some(applied) = terraform(&files, &apply, &[("cluster_arn", cluster)]) else { return };
    let said = String::from_utf8_lossy(&applied.stdout).into_owned();
    assert!(applied.status.success(), "{said}{}", String::from_utf8_lossy(&applied.stderr));
    let line = said.lines().rfind(|line| line.starts_with("all = ")).expect("an output");
    let json: String = serde_json::from_str(&line["all = ".len()..]).expect("a text");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["region"], "cn-north-1");
    let resource = |kind: &str, name: &str| cluster.replace("cluster", kind) + name;
    for (role, groups, creates) in [("producer", "tahoe.*", false), ("transformer", "*", true)] {
        let statements = json[role].as_array().expect("a list");
        let resources: Vec<_> = statements.iter().map(|one| &one["resources"][0]).collect();
        let groups = resource("group", &format!("/{groups}"));
        assert_eq!(resources, [cluster, &resource("topic", "/*"), &groups], "{role}");
        let actions = json[role].to_string();
        assert_eq!(actions.contains("kafka-cluster:CreateTopic"), creates, "{role}");
        for never in ["DeleteTopic", "AlterTopic", "AlterCluster", ":*\""] {
            assert!(!actions.contains(never), "{role}: {actions}");
        }
    }
}

/// First and last address.
fn range(cidr: &str) -> (u32, u32) {
    let (address, bits) = cidr.split_once('/').expect("a network");
    let address: Ipv4Addr = address.parse().expect("an address");
    let size = 1u64 << (32 - bits.parse::<u32>().expect("a length"));
    let first = u32::from(address);
    (first, u32::try_from(u64::from(first) + size - 1).expect("within the addresses"))
}

#[test]
fn subnets_lie_in_their_network_and_apart_from_each_other() {
    let network = root().join("modules/network");
    let main = fs::read_to_string(network.join("main.tf")).expect("readable");
    let (_, rest) = main.split_once("locals {").expect("it computes them");
    let (locals, _) = rest.split_once("\n}\n").expect("a block ends");
    let zones = r#"{ names = ["a", "b", "c", "d"] }"#;
    let locals = locals.replace("data.aws_availability_zones.available", "local.region_zones");
    let zones = format!("locals {{\n  region_zones = {zones}\n{locals}\n}}\n");
    let shown = "output \"all\" {\n  value = jsonencode({ private = local.private_cidrs, public = \
        local.public_cidrs, zones = local.zones, nat = local.nat_count })\n}\n";
    let variables = fs::read_to_string(network.join("variables.tf")).expect("readable");
    let files = [("variables.tf", variables), ("main.tf", zones + shown)];
    let cases = [
        ("10.40.0.0/16", 2, "one", 1),
        ("10.60.0.0/16", 3, "per_zone", 3),
        ("172.20.0.0/20", 2, "none", 0),
        ("192.168.64.0/22", 3, "one", 1),
    ];
    for (cidr, count, nat, gateways) in cases {
        let zones = count.to_string();
        let settings = [
            ("name", "x"),
            ("kms_key_arn", "x"),
            ("cidr", cidr),
            ("zone_count", &zones),
            ("nat", nat),
        ];
        let apply = ["apply", "-no-color", "-input=false", "-auto-approve"];
        let Some(applied) = terraform(&files, &apply, &settings) else { return };
        let said = String::from_utf8_lossy(&applied.stdout).into_owned();
        assert!(applied.status.success(), "{said}{}", String::from_utf8_lossy(&applied.stderr));
        let line = said.lines().rfind(|line| line.starts_with("all = ")).expect("an output");
        let json: String = serde_json::from_str(&line["all = ".len()..]).expect("a text");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(
            (&json["zones"].as_array().map(Vec::len), &json["nat"]),
            (&Some(count), &gateways.into())
        );
        let cidrs = ["private", "public"].map(|of| json[of].as_array().cloned().expect("a list"));
        let mut ranges: Vec<_> =
            cidrs.iter().flatten().map(|cidr| range(cidr.as_str().expect("a text"))).collect();
        assert_eq!(ranges.len(), count * 2);
        ranges.sort_unstable();
        let (first, last) = range(cidr);
        assert!(ranges.iter().all(|range| range.0 >= first && range.1 <= last), "{cidr}: {said}");
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{cidr}: {said}");
    }
}
