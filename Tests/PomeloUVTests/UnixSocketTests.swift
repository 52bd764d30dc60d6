// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

/// Unix-domain sockets of the kernel: their files, their rights, and streams like any other.
@Suite struct UnixSocketTests {
    private static func path(_ name: String = #function) -> String {
        NSTemporaryDirectory() + "pomelo-uv-\(getpid())-\(name.prefix { $0 != "(" }.prefix(40)).sock"
    }

    @Loop private final class Echo: ByteStreamDelegate {
        var seen: [UInt8] = []
        var end: StreamEnd?
        private let answers: Bool

        init(answers: Bool) { self.answers = answers }

        func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
            var copy: [UInt8] = []
            for index in 0..<bytes.count { copy.append(bytes[index]) }
            seen += copy
            if answers { stream.write(copy) }
        }
        func streamDidDrain(_ stream: any ByteStream) {}
        func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) { end = reason }
    }

    @Test @Loop func bytesGoBothWaysAndEndsAreTold() async throws {
        let (network, path) = (UVNetwork(), Self.path())
        let server = Echo(answers: true)
        var accepted: (any ByteStream)?
        let listener = try await network.listen(atPath: path, permissions: 0o600) { stream in
            accepted = stream
            stream.delegate = server
        }
        #expect(listener.localAddress == SocketAddress(host: path, port: 0))
        #expect("\(listener.localAddress)" == path)
        let stream = try await network.connect(toPath: path)
        let client = Echo(answers: false)
        stream.delegate = client
        let sent = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        stream.write(sent)
        try await eventually("the echo") { client.seen.count == sent.count }
        #expect(client.seen == sent)
        let addresses = [stream.remoteAddress, accepted?.remoteAddress, accepted?.localAddress]
        #expect(addresses.allSatisfy { $0?.host == path })
        stream.closeAfterFlush(within: .seconds(5))
        try await eventually("both ends") { server.end != nil && client.end != nil }
        #expect(server.end == .peerClosed)
        listener.close()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    /// A host that is an absolute path needs no other call, and no resolver.
    @Test @Loop func anAddressWithAPathIsDialledLikeAnyOther() async throws {
        let (network, path) = (UVNetwork(), Self.path())
        let address = SocketAddress(host: path, port: 0)
        let missing = await thrown { _ = try await network.connect(to: address, within: .seconds(5)) }
        #expect((missing as? NetworkError)?.code == "ENOENT")
        let server = Echo(answers: true)
        let listener = try await network.listen(atPath: path, permissions: 0o600) { $0.delegate = server }
        let stream = try await network.connect(to: address, within: .seconds(5))
        let client = Echo(answers: false)
        stream.delegate = client
        stream.write([1, 2, 3])
        try await eventually("the echo") { client.seen == [1, 2, 3] }
        #expect(stream.remoteAddress == address)
        stream.close()
        listener.close()
        let long = SocketAddress(host: "/" + String(repeating: "x", count: 200), port: 0)
        let refused = await thrown { _ = try await network.connect(to: long, within: .seconds(5)) }
        #expect((refused as? NetworkError)?.code == "ENAMETOOLONG")
    }

    @Test(arguments: [0o600, 0o660, 0o777] as [UInt16])
    @Loop func theFileHasTheRightsThatWereAskedFor(_ permissions: UInt16) async throws {
        let path = Self.path() + "\(permissions)"
        let listener = try await UVNetwork().listen(atPath: path, permissions: permissions) { _ in }
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == Int(permissions))
        listener.close()
    }

    @Test @Loop func whoeverListensKeepsThePathAndWhatIsStaleGivesWay() async throws {
        let (network, path) = (UVNetwork(), Self.path())
        let first = try await network.listen(atPath: path, permissions: 0o600) { _ in }
        let error = await thrown { _ = try await network.listen(atPath: path, permissions: 0o600) { _ in } }
        #expect((error as? NetworkError)?.code == "EADDRINUSE")
        #expect("\(error.map { "\($0)" } ?? "")".contains(path))
        _ = try await network.connect(toPath: path)
        // What a killed process leaves: a file whose listener is gone.
        let kept = path + ".kept"
        try FileManager.default.linkItem(atPath: path, toPath: kept)
        first.close()
        try FileManager.default.moveItem(atPath: kept, toPath: path)
        #expect(await refused(path) == "ECONNREFUSED")
        let second = try await network.listen(atPath: path, permissions: 0o600) { _ in }
        _ = try await network.connect(toPath: path)
        second.close()
        #expect(await refused(path) == "ENOENT")
    }

    @Test @Loop func noOtherFileIsRemoved() async throws {
        let (network, path) = (UVNetwork(), Self.path())
        #expect(FileManager.default.createFile(atPath: path, contents: Data("mine".utf8)))
        let error = await thrown { _ = try await network.listen(atPath: path, permissions: 0o600) { _ in } }
        #expect((error as? NetworkError)?.code == "EADDRINUSE")
        #expect(FileManager.default.contents(atPath: path) == Data("mine".utf8))
        // Nor one that has taken the place of the own.
        try FileManager.default.removeItem(atPath: path)
        let listener = try await network.listen(atPath: path, permissions: 0o600) { _ in }
        try FileManager.default.removeItem(atPath: path)
        #expect(FileManager.default.createFile(atPath: path, contents: Data("yours".utf8)))
        listener.close()
        #expect(FileManager.default.contents(atPath: path) == Data("yours".utf8))
        try FileManager.default.removeItem(atPath: path)
    }

    @Test @Loop func aPathThatCannotBeIsAnError() async throws {
        let network = UVNetwork()
        let long = "/tmp/" + String(repeating: "x", count: 200)
        for (path, code) in [(long, "ENAMETOOLONG"), ("/nowhere/at/all.sock", "ENOENT"), ("", "ENOENT")] {
            let error = await thrown { _ = try await network.listen(atPath: path, permissions: 0o600) { _ in } }
            #expect((error as? NetworkError)?.code == code)
            #expect(await refused(path) == code)
        }
    }

    @Loop private func refused(_ path: String) async -> String {
        let error = await thrown { _ = try await UVNetwork().connect(toPath: path) }
        return (error as? NetworkError)?.code ?? "none"
    }
}
