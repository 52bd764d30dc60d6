// SPDX-License-Identifier: MIT
//
// PomeloTLS: TLS between a stream and who uses it; with the trait `TLS`, and one clear error without it.
// Reading order: TLSOptions, TLSError, TLSServer, TLSStream, HandshakeShares, RecordWatch, TLSEngine; TLSContext is
// the rim to C.

/// The oldest version of TLS that is spoken.
public enum TLSVersion: String, Sendable, CaseIterable {
    /// RFC 5246.
    case v1_2 = "1.2"
    /// RFC 8446.
    case v1_3 = "1.3"
}

/// What a server shows to clients, and asks of them.
///
/// - Source: the keys `cert`, `key`, `ca` and `passphrase` of `ssl` in pomelo 2.2.7, lib/connectors/hybridconnector.js.
public struct TLSServerOptions: Sendable, Hashable {
    /// A file in PEM: the server's certificate, then those that lead to an authority.
    public var certificateFile: String
    /// A file in PEM: the private key of the first certificate.
    public var keyFile: String
    /// A file in PEM with the authorities whose clients alone are let in; nil asks no client for a certificate.
    public var clientAuthorityFile: String?
    /// TLS 1.2 is from 2008, and every client that is still in use speaks it.
    public var minimumVersion = TLSVersion.v1_2
    /// How often the files are looked at: new ones are shown to who connects from then on; zero never looks.
    public var reloadInterval = Duration.seconds(60)

    /// A certificate and its key, and the defaults.
    public init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// What a client believes, and shows.
public struct TLSClientOptions: Sendable, Hashable {
    /// A file in PEM with the authorities that are believed; nil believes those of the system.
    public var authorityFile: String?
    /// A file in PEM with the client's own certificate, for a server that asks.
    public var certificateFile: String?
    /// A file in PEM with its private key.
    public var keyFile: String?
    /// The name that the server must have; nil means the one it is connected by.
    public var serverName: String?
    /// Whether the server must prove who it is; without that anybody on the way can read and change everything.
    public var verifiesServer = true

    /// The system's authorities, and no certificate.
    public init() {}
}
