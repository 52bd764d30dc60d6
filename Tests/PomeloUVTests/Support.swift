// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

/// Remembers what a stream reports.
@Loop final class Recorder: ByteStreamDelegate {
    var bytes: [UInt8] = []
    var reads = 0
    var drains = 0
    var ends: [StreamEnd] = []
    var callsAfterEnd = 0
    var onRead: (@Loop (any ByteStream, [UInt8]) -> Void)?
    var onDrain: (@Loop (any ByteStream) -> Void)?
    var onEnd: (@Loop (any ByteStream) -> Void)?

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        noteCall()
        reads += 1
        let copy = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
        self.bytes += copy
        onRead?(stream, copy)
    }

    func streamDidDrain(_ stream: any ByteStream) {
        noteCall()
        drains += 1
        onDrain?(stream)
    }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        ends.append(reason)
        onEnd?(stream)
    }

    private func noteCall() { if !ends.isEmpty { callsAfterEnd += 1 } }
}

/// Two ends of one connection of the kernel, each with a recorder.
@Loop struct Pair {
    let listener: any StreamListener
    let client: any ByteStream
    let server: any ByteStream
    let clientSide = Recorder()
    let serverSide = Recorder()

    static func make(on host: String) async throws -> Pair {
        let network = UVNetwork()
        network.resolver.deadline = .seconds(20)
        let accepted = Journal<any ByteStream>()
        let listener = try await network.listen(on: SocketAddress(host: host, port: 0)) { accepted.note($0) }
        let client = try await network.connect(to: listener.localAddress, within: .seconds(20))
        await until("accepted") { !accepted.entries.isEmpty }
        return Pair(listener: listener, client: client, server: try #require(accepted.entries.first))
    }

    init(listener: any StreamListener, client: any ByteStream, server: any ByteStream) {
        self.listener = listener
        self.client = client
        self.server = server
        client.delegate = clientSide
        server.delegate = serverSide
    }

    func close() async {
        listener.close()
        client.close()
        server.close()
        await until("both have ended") { !clientSide.ends.isEmpty && !serverSide.ends.isEmpty }
    }
}

/// Runs `body` with a connected pair and closes it.
@Loop func withPair(
    on host: String = "127.0.0.1", _ body: @Loop (Pair) async throws -> Void
) async throws {
    let pair = try await Pair.make(on: host)
    do {
        try await body(pair)
    } catch {
        await pair.close()
        throw error
    }
    await pair.close()
}

/// Lets the loop poll and flush a few times.
@Loop func turns(_ count: Int) async {
    let wanted = EventLoop.shared.turns + count
    while EventLoop.shared.turns < wanted { await SystemClock.shared.sleep(for: .zero) }
}

/// What a call failed with, or nil.
@Loop func failure<T>(_ body: @Loop () async throws(NetworkError) -> T) async -> NetworkError? {
    await thrown(by: body)
}

/// `count` bytes decided by a seed.
func seededBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    let words = (0..<(count + 7) / 8).map { _ in random.next() }
    return unsafe words.withUnsafeBytes { unsafe Array($0.prefix(count)) }
}

/// How many descriptors this process has open.
func openDescriptors() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
}

/// The memory this process holds.
func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * 4096
}

/// Compares many bytes; says where they part instead of printing them.
func expectSame(_ got: [UInt8], _ wanted: [UInt8], at location: SourceLocation = #_sourceLocation) {
    if got == wanted { return }
    let place = zip(got, wanted).enumerated().first { $1.0 != $1.1 }?.offset
    let text = place.map { "differ first at \($0)" } ?? "agree as far as they go"
    Issue.record("\(got.count) bytes instead of \(wanted.count); they \(text)", sourceLocation: location)
}
