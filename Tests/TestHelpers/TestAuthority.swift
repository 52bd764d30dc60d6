// SPDX-License-Identifier: MIT
import Foundation
package import PomeloLoop
package import PomeloTLS
package import PomeloTesting
import PomeloUV

/// An authority of a test's own, and the certificates it signs; made by `openssl`, in a folder that goes with it.
@Loop package final class TestAuthority {
    /// A file in PEM.
    package let file: String
    private let folder: String
    private var count = 0

    private init(_ folder: String) {
        self.folder = folder
        file = folder + "/ca.pem"
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// A new one, which nobody believes.
    package static func make() async throws -> TestAuthority {
        let folder = NSTemporaryDirectory() + "pomelo-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let authority = TestAuthority(folder)
        try await authority.openssl(
            ["req", "-x509", "-days", "3650", "-subj", "/CN=Test authority"] + newKey("ca.key") + ["-out", "ca.pem"])
        return authority
    }

    /// A certificate and its key, for names of the form `DNS:localhost`.
    package func issue(_ names: String = "DNS:localhost,IP:127.0.0.1") async throws -> TLSServerOptions {
        let name = nextName()
        try await openssl(
            ["req", "-x509", "-days", "365", "-subj", "/CN=\(name)", "-CA", "ca.pem", "-CAkey", "ca.key"]
                + ["-addext", "subjectAltName=\(names)", "-addext", "basicConstraints=critical,CA:FALSE"]
                + Self.newKey("\(name).key") + ["-out", "\(name).pem"])
        return options(name)
    }

    /// What a `redis-server` needs.
    package func redis(_ names: String = "DNS:localhost,IP:127.0.0.1") async throws -> RedisTLS {
        RedisTLS(authorityFile: file, try await issue(names))
    }

    /// One whose time is over.
    package func issueExpired() async throws -> TLSServerOptions {
        let name = nextName()
        let settings = """
            [ca]
            default_ca = own
            [own]
            database = index.txt
            new_certs_dir = .
            rand_serial = yes
            default_md = sha256
            policy = any
            [any]
            commonName = supplied
            [names]
            subjectAltName = DNS:localhost,IP:127.0.0.1
            """
        try settings.write(toFile: folder + "/ca.conf", atomically: true, encoding: .utf8)
        try "".write(toFile: folder + "/index.txt", atomically: true, encoding: .utf8)
        try await openssl(
            ["req", "-new", "-subj", "/CN=\(name)"] + Self.newKey("\(name).key") + ["-out", "\(name).csr"])
        try await openssl(
            ["ca", "-batch", "-notext", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key"]
                + ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-extensions", "names"]
                + ["-in", "\(name).csr", "-out", "\(name).pem"])
        return options(name)
    }

    /// Puts the certificate and key of one in the place of another's, as who renews them does.
    package func replace(_ old: TLSServerOptions, by new: TLSServerOptions) throws {
        for (from, to) in [(new.certificateFile, old.certificateFile), (new.keyFile, old.keyFile)] {
            try Data(contentsOf: URL(fileURLWithPath: from)).write(to: URL(fileURLWithPath: to), options: .atomic)
        }
    }

    /// Who believes this authority, and nobody else.
    package var clientOptions: TLSClientOptions {
        var options = TLSClientOptions()
        options.authorityFile = file
        return options
    }

    /// A file with this authority and another: who has it believes both.
    package func file(with other: TestAuthority) throws -> String {
        let both = try [file, other.file].map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
        let path = "\(folder)/both-\(nextName()).pem"
        try both.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func nextName() -> String {
        count += 1
        return "server-\(count)"
    }

    private func options(_ name: String) -> TLSServerOptions {
        TLSServerOptions(certificateFile: "\(folder)/\(name).pem", keyFile: "\(folder)/\(name).key")
    }

    private static func newKey(_ file: String) -> [String] {
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file]
    }

    private func openssl(_ arguments: [String]) async throws {
        let (ending, lines) = try await ChildProcess.run(.init("openssl", arguments, directory: folder))
        guard ending == .exited(0) else { throw Unmet(description: "openssl \(arguments[0]): \(lines)") }
    }
}

/// A network whose connections are encrypted by who connects; who listens there does that itself.
@Loop package final class TLSNetwork: Network {
    private let lower: any Network
    private let client: TLSClient
    private let name: String

    package init(_ lower: any Network, _ client: TLSClient, name: String = "localhost") {
        self.lower = lower
        self.client = client
        self.name = name
    }

    package func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener { try await lower.listen(on: address, accept: accept) }

    package func connect(
        to address: SocketAddress, within deadline: Duration
    ) async throws(NetworkError) -> any ByteStream {
        let stream = try await lower.connect(to: address, within: deadline)
        do throws(TLSError) {
            return try client.connect(stream, to: name)
        } catch {
            throw NetworkError(code: "TLS", description: "\(error)")
        }
    }
}
