//! Turns the configuration of traces into what telemetry needs.

use std::sync::Arc;

use http::uri::Scheme;

use crate::config::Config;
use crate::telemetry::traces::{CollectorAddress, Rules};

/// Which calls are traced.
pub(crate) fn rules(config: &Config) -> Rules {
    let settings = &config.settings;
    let hosts = config.base_urls().map(|(connection, url)| {
        let authority = url.authority();
        let usual = if *url.scheme() == Scheme::HTTP { 80 } else { 443 };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        (connection.id.clone(), (host.into(), authority.port_u16().unwrap_or(usual)))
    });
    Rules {
        sampling: settings.traces.sampling(),
        slow: settings.traces.slow.get(),
        scheme: if settings.server.tls.is_some() { "https" } else { "http" },
        hosts: hosts.collect(),
    }
}

/// Where spans go; `None` without a collector.
pub(crate) fn collector(config: &Config, instance: &Arc<str>) -> Option<CollectorAddress> {
    let traces = &config.settings.traces;
    let (url, collector) = (traces.url()?, config.collector.as_ref()?);
    Some(CollectorAddress {
        url,
        headers: collector.headers.clone(),
        tls: collector.tls.clone(),
        timeout: traces.timeout.get(),
        queue: traces.queue,
        batch: traces.batch,
        interval: traces.interval.get(),
        service: traces.service_name.clone(),
        instance: instance.clone(),
    })
}
