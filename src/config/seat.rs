//! Which of several processes this is, for a fixed share of a quota: what the file leaves out comes
//! from the environment, so that all of them can have the same file.

use std::env;

use super::settings::StaticShare;

/// How many processes share the quota.
const REPLICAS: &str = "TOLLGATE_REPLICAS";
/// Which of them this is, from 0.
const INDEX: &str = "TOLLGATE_REPLICA_INDEX";

impl StaticShare {
    /// How many processes there are, and which of them this is.
    ///
    /// # Errors
    /// When neither the file nor the environment says it; the text is for the operator.
    pub(super) fn seat(self) -> Result<(u32, u32), String> {
        self.seat_in(|name| env::var(name).ok(), rustix::system::uname().nodename().to_str().ok())
    }

    fn seat_in(
        self,
        environment: impl Fn(&str) -> Option<String>,
        host: Option<&str>,
    ) -> Result<(u32, u32), String> {
        let told = |name| match environment(name).filter(|value| !value.is_empty()) {
            Some(value) => value.parse().map(Some).map_err(|_| {
                format!("static_share: {name} is no whole number: write one, such as 3")
            }),
            None => Ok(None),
        };
        let replicas = self.replicas.map_or_else(|| told(REPLICAS), |given| Ok(Some(given)))?;
        let replicas = replicas.ok_or_else(|| format!(
            "static_share has no 'replicas', and {REPLICAS} is not set: write how many processes share the quota"
        ))?;
        let index = self.index.map_or_else(|| told(INDEX), |given| Ok(Some(given)))?;
        let index = index.or_else(|| ordinal(host?)).ok_or_else(|| format!(
            "static_share has no 'index', {INDEX} is not set, and the name of this host does not end in a number as 'gateway-0' does: write which of the processes this is, from 0"
        ))?;
        Ok((replicas, index))
    }
}

/// The number at the end of a host's name, as the pods of a `StatefulSet` have it (Kubernetes,
/// "StatefulSets", section "Pod Identity").
fn ordinal(host: &str) -> Option<u32> {
    let name = host.split('.').next()?;
    let (_, number) = name.rsplit_once('-')?;
    let plain = number == "0" || !number.starts_with(['0', '+']);
    number.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(
        (replicas, index): (Option<u32>, Option<u32>),
        environment: &[(&str, &str)],
        host: &str,
    ) -> Result<(u32, u32), String> {
        let value = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        StaticShare { replicas, index }.seat_in(value, Some(host))
    }

    #[test]
    fn the_file_comes_before_the_environment_and_that_before_the_name_of_the_host() {
        let both = [(REPLICAS, "5"), (INDEX, "4")];
        assert_eq!(seat((Some(3), Some(1)), &both, "gateway-2"), Ok((3, 1)));
        assert_eq!(seat((Some(3), None), &both, "gateway-2"), Ok((3, 4)));
        assert_eq!(seat((None, Some(1)), &both, "gateway-2"), Ok((5, 1)));
        assert_eq!(seat((None, None), &both, "gateway-2"), Ok((5, 4)));
        let one = [(REPLICAS, "5"), (INDEX, "")];
        assert_eq!(seat((None, None), &one, "gateway-2"), Ok((5, 2)));
        assert_eq!(seat((None, None), &one, "gateway-2.gateways.prod.svc"), Ok((5, 2)));
    }

    #[test]
    fn a_share_that_nobody_told_is_refused_with_what_is_missing() {
        let missing =
            |environment: &[(&str, &str)], host| seat((None, None), environment, host).unwrap_err();
        assert!(missing(&[], "gateway-2").contains("TOLLGATE_REPLICAS is not set"));
        for host in ["gateway", "gateway-7d9f", "gateway-", "gateway-02", "gateway-+2", "2"] {
            let text = missing(&[(REPLICAS, "3")], host);
            assert!(text.contains("TOLLGATE_REPLICA_INDEX is not set"), "{host}: {text}");
        }
        for wrong in ["three", "-1", "1.5"] {
            let text = missing(&[(REPLICAS, wrong)], "gateway-0");
            assert!(text.contains("TOLLGATE_REPLICAS is no whole number"), "{text}");
            assert!(!text.contains(wrong), "what stands there may be a secret");
        }
    }
}
