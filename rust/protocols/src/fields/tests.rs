use super::*;

#[test]
fn knows_special_names_in_any_case() {
    for (name, want) in [
        ("Host", Kind::Host),
        ("CONTENT-LENGTH", Kind::ContentLength),
        ("transfer-Encoding", Kind::TransferEncoding),
        ("Connection", Kind::Connection),
        ("Upgrade", Kind::Upgrade),
        ("expect", Kind::Expect),
        ("Te", Kind::Dropped),
        ("Trailer", Kind::Dropped),
        ("Keep-Alive", Kind::Dropped),
        ("HTTP2-Settings", Kind::Dropped),
        ("Proxy-Connection", Kind::Dropped),
        ("Proxy-Authenticate", Kind::Dropped),
        ("Proxy-Authorization", Kind::Dropped),
        ("X-Alongside-Key", Kind::Dropped),
        ("Forwarded", Kind::Forwarding),
        ("X-Forwarded-For", Kind::Forwarding),
        ("x-forwarded-user", Kind::Forwarding),
        ("X-Real-IP", Kind::Forwarding),
        ("X-Original-URL", Kind::Forwarding),
        ("X-Rewrite-URL", Kind::Forwarding),
        ("X-HTTP-Method-Override", Kind::Forwarding),
        ("Remote-User", Kind::Forwarding),
        ("X-Remote-User", Kind::Forwarding),
        ("X-Auth-Request-Email", Kind::Forwarding),
        ("X-Authenticated-User", Kind::Forwarding),
        ("X-Client-IP", Kind::Forwarding),
        ("X-Client-Cert-Subject", Kind::Forwarding),
        ("X-SSL-Client-Verify", Kind::Forwarding),
        ("X-Cluster-Client-IP", Kind::Forwarding),
        ("True-Client-IP", Kind::Forwarding),
        ("CF-Connecting-IP", Kind::Forwarding),
        ("Client-Cert", Kind::Forwarding),
        ("Client-IP", Kind::Forwarding),
        ("Forwarded-For", Kind::Forwarding),
        ("Fastly-Client-IP", Kind::Forwarding),
        ("X-Forwarded", Kind::Forwarding),
        ("X-WebAuth-User", Kind::Forwarding),
        ("SSL-Client-Subject-DN", Kind::Forwarding),
        ("Proxy", Kind::Dropped),
        ("X-Client-Version", Kind::EndToEnd),
        ("X-SSL", Kind::EndToEnd),
        ("SSL-Client", Kind::EndToEnd),
        ("X-Forwardeds", Kind::EndToEnd),
        ("Accept", Kind::EndToEnd),
        ("X-Request-Id", Kind::EndToEnd),
        ("x_custom_name", Kind::EndToEnd),
        ("x-", Kind::EndToEnd),
        ("xxxxxxxxxxx", Kind::EndToEnd),
    ] {
        for spelt in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
            assert_eq!(kind(spelt.as_bytes()), want, "{spelt}");
        }
    }
}

#[test]
fn drops_special_names_spelt_with_underscores_or_dots() {
    for name in [
        "X_Forwarded_User",
        "x-forwarded_for",
        "X_Real_IP",
        "Content_Length",
        "Transfer_Encoding",
        "x_alongside_key",
        "X.Forwarded.For",
        "X_Forwarded",
        "CLIENT_IP",
        "SSL_CLIENT_S_DN",
    ] {
        assert_eq!(kind(name.as_bytes()), Kind::Dropped, "{name}");
    }
}

#[test]
fn finds_tokens_in_lists() {
    assert!(field_has_token(b"close, TE", "te"));
    assert!(field_has_token(b" ,\tClose\t,", "close"));
    assert!(!field_has_token(b"closed", "close"));
    assert!(!field_has_token(b"", "close"));
}
