use super::*;

#[test]
fn dependencies_stay_at_info_whatever_is_wanted() {
    let targets = targets(LogLevel::Trace);
    assert!(targets.would_enable("candado::proxy", &Level::TRACE));
    for dependency in ["aws_smithy_runtime", "hyper::proto", "h2", "rustls::conn", "mysql_async::conn", "log"] {
        assert!(targets.would_enable(dependency, &Level::INFO), "{dependency}");
        assert!(!targets.would_enable(dependency, &Level::DEBUG), "{dependency}");
    }
}

#[test]
fn a_quieter_level_is_quieter_for_all() {
    let targets = targets(LogLevel::Error);
    assert!(targets.would_enable("candado::proxy", &Level::ERROR));
    assert!(!targets.would_enable("candado::proxy", &Level::WARN));
    assert!(!targets.would_enable("rustls", &Level::WARN));
}
