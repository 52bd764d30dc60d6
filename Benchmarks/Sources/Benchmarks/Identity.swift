// SPDX-License-Identifier: MIT
import Foundation

/// A server's certificate, signed by itself, and its key: P-256, as most servers have.
struct Identity {
    let certificate: String
    let key: String

    init(_ place: Workplace) throws {
        certificate = place.folder.appendingPathComponent("certificate.pem").path
        key = place.folder.appendingPathComponent("key.pem").path
        _ = try Child.output(of: [
            "openssl", "req", "-x509", "-days", "2", "-subj", "/CN=localhost", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
        ])
    }

    /// As `connector.json` has it.
    var json: String { #"{"certificate": "\#(certificate)", "key": "\#(key)"}"# }
    /// As the C program has it.
    var option: String { "tls=\(certificate),\(key)" }
}
