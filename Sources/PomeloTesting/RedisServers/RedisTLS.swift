// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloRedis
public import PomeloTLS

/// The files by which a `redis-server` speaks TLS, with clients and other servers, and nothing else.
public struct RedisTLS: Sendable, Hashable {
    /// A file in PEM with the authorities that the server believes, and clients of `configuration` too.
    public var authorityFile: String
    /// A file in PEM with the server's certificate: shown to who connects, and to servers it connects to.
    public var certificateFile: String
    /// A file in PEM with its private key.
    public var keyFile: String
    /// Whether clients must show a certificate; other servers always do.
    public var asksClients = false

    /// The authorities that are believed, and a certificate with its key.
    public init(authorityFile: String, _ own: TLSServerOptions) {
        self.authorityFile = authorityFile
        certificateFile = own.certificateFile
        keyFile = own.keyFile
    }

    /// Who believes the same authorities.
    public var clientOptions: TLSClientOptions {
        var options = TLSClientOptions()
        options.authorityFile = authorityFile
        return options
    }

    /// What makes a server listen so at a port, and at no other.
    func options(_ port: Int, isNode: Bool) -> [String] {
        var options = ["--port", "0", "--tls-port", "\(port)", "--tls-replication", "yes"]
        options += ["--tls-ca-cert-file", authorityFile, "--tls-cert-file", certificateFile, "--tls-key-file", keyFile]
        options += ["--tls-auth-clients", asksClients ? "yes" : "no"]
        return options + (isNode ? ["--tls-cluster", "yes"] : [])
    }

    /// What makes `redis-cli` speak so; it is to reach a server whatever certificate that has.
    var commandOptions: [String] { ["--tls", "--insecure", "--cert", certificateFile, "--key", keyFile] }
}
