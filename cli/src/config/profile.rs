//! Credentials from the files of the AWS tools, for people who have run `aws configure`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// What the environment has when a workload or a person has said who asks.
const KNOWN: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
const KEYS: [(&str, &str); 4] = [
    ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
    ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("aws_session_token", "AWS_SESSION_TOKEN"),
    ("region", "AWS_REGION"),
];

/// Adds the credentials and the region of a profile to the variables, where these have none.
///
/// # Errors
/// A profile that is named and not there.
pub fn add_credentials(variables: &mut BTreeMap<String, String>) -> Result<()> {
    let named = variables.get("AWS_PROFILE").cloned();
    if named.is_none() && KNOWN.iter().any(|name| variables.contains_key(*name)) {
        return Ok(());
    }
    let profile = named.clone().unwrap_or_else(|| "default".to_owned());
    let mut found = false;
    for (variable, file) in [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")] {
        let home = || std::env::home_dir().map(|home| home.join(".aws").join(file));
        let Some(path) = variables.get(variable).map(PathBuf::from).or_else(home) else { continue };
        if !path.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        for (key, value) in section(&text, &profile) {
            found = true;
            if let Some((_, name)) = KEYS.iter().find(|(known, _)| *known == key) {
                variables.entry((*name).to_owned()).or_insert_with(|| value.to_owned());
            }
        }
    }
    ensure!(
        found || named.is_none(),
        "`AWS_PROFILE` is `{profile}`, but the files of the AWS tools have no such profile"
    );
    Ok(())
}

/// The keys of one profile; the two files name it differently.
fn section<'a>(text: &'a str, profile: &str) -> Vec<(&'a str, &'a str)> {
    let headers = [format!("[{profile}]"), format!("[profile {profile}]")];
    let mut inside = false;
    let mut keys = Vec::new();
    for line in text.lines() {
        // What is indented belongs to the key above it.
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let line = line.trim();
        if line.starts_with('[') {
            inside = headers.iter().any(|header| header == line);
        } else if inside && let Some((key, value)) = line.split_once('=') {
            keys.push((key.trim(), value.trim()));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_profile_gives_what_the_environment_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let (credentials, config) = (folder.path().join("credentials"), folder.path().join("config"));
        std::fs::write(&credentials, "[default]\naws_access_key_id = d\n\n[work]\naws_access_key_id=w\n").unwrap();
        std::fs::write(&config, "[profile work]\nregion = eu-west-1\ns3 =\n  region = no\n").unwrap();
        let files = [
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
            ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ];
        let mut plain = variables(&files);
        add_credentials(&mut plain).unwrap();
        assert_eq!(plain.get("AWS_ACCESS_KEY_ID").map(String::as_str), Some("d"));

        let mut named = variables(&[&files[..], &[("AWS_PROFILE", "work")]].concat());
        add_credentials(&mut named).unwrap();
        assert_eq!(named.get("AWS_ACCESS_KEY_ID").map(String::as_str), Some("w"));
        assert_eq!(named.get("AWS_REGION").map(String::as_str), Some("eu-west-1"));

        let mut given = variables(&[&files[..], &[("AWS_ACCESS_KEY_ID", "mine")]].concat());
        add_credentials(&mut given).unwrap();
        assert_eq!(given.get("AWS_ACCESS_KEY_ID").map(String::as_str), Some("mine"));
        assert_eq!(given.get("AWS_REGION"), None);

        let mut absent = variables(&[&files[..], &[("AWS_PROFILE", "nobody")]].concat());
        assert!(add_credentials(&mut absent).unwrap_err().to_string().contains("`nobody`"));
    }
}
