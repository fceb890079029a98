//! Encodings of bodies.

use super::*;

fn accepts(value: &str) -> Option<Packing> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(value).expect("a header"));
    accepted(&headers)
}

#[test]
fn what_a_client_accepts_is_what_it_gets() {
    for (value, packing) in [
        ("identity", None),
        ("gzip", Some(Packing::Gzip)),
        ("deflate", Some(Packing::Deflate)),
        ("gzip;q=0", None),
        ("gzip;q=0.2, deflate;q=0.9", Some(Packing::Deflate)),
        ("br, gzip;q=0.5", Some(Packing::Gzip)),
        ("*", Some(Packing::Gzip)),
        ("gzip;q=nonsense", None),
        ("", None),
    ] {
        assert_eq!(accepts(value), packing, "{value}");
    }
    assert_eq!(accepted(&HeaderMap::new()), None);
}

#[test]
fn packed_bodies_are_unpacked_within_bounds() {
    let body = b"{\"TableName\": \"airports\"}".repeat(1000);
    for packing in [Packing::Gzip, Packing::Deflate] {
        let packed = packing.pack(&body);
        assert!(packed.len() < body.len() / 10);
        let unpacked = match packing {
            Packing::Gzip => unpack(MultiGzDecoder::new(&*packed)),
            Packing::Deflate => unpack(ZlibDecoder::new(&*packed)),
        };
        assert_eq!(unpacked.expect("it is sound"), body);
        assert!(matches!(unpack(MultiGzDecoder::new(&packed[..packed.len() / 2])), Err(Fault::Encoding)));
    }
    let members = [Packing::Gzip.pack(b"{"), Packing::Gzip.pack(b"}")].concat();
    assert_eq!(unpack(MultiGzDecoder::new(&*members)).expect("two members"), &b"{}"[..]);
    let bomb = Packing::Gzip.pack(&vec![b' '; REQUEST_BYTES_MAX + 1]);
    assert!(bomb.len() < REQUEST_BYTES_MAX / 100);
    assert!(matches!(unpack(MultiGzDecoder::new(&*bomb)), Err(Fault::TooLarge)));
    assert!(matches!(unpack(MultiGzDecoder::new(&b""[..])), Err(Fault::Encoding)));
}
