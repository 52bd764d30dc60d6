// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@Suite struct NetworkTests {
    private let anyPort = SocketAddress(host: "127.0.0.1", port: 0)

    @Test @Loop func aPortInUseIsNamed() async throws {
        let first = try await UVNetwork().listen(on: anyPort) { _ in }
        let address = first.localAddress
        let error = await failure { () throws(NetworkError) in
            try await UVNetwork().listen(on: address) { _ in }
        }
        #expect(error?.code == "EADDRINUSE")
        #expect(error?.description.contains(address.description) == true, "\(String(describing: error))")
        #if os(Linux)
            let holder = "held by process \(ProcessInfo.processInfo.processIdentifier) ("
            #expect(error?.description.contains(holder) == true, "\(String(describing: error))")
            #expect(error?.description.contains("it runs already") == false, "two ports of one process are no twins")
        #endif
        first.close()
    }

    @Test @Loop func aRefusedConnectionIsNamed() async throws {
        let refusing = try RawSocket.refusing()
        let address = SocketAddress(host: "127.0.0.1", port: refusing.port)
        let error = await failure { () throws(NetworkError) in
            try await UVNetwork().connect(to: address, within: .seconds(20))
        }
        #expect(error?.code == "ECONNREFUSED")
        #expect(error?.description.contains(address.description) == true)
        refusing.close()
    }

    @Test @Loop func aClosedListenerFreesItsPort() async throws {
        let address = SocketAddress(host: "127.0.0.1", port: try await TestPorts.next())
        for _ in 0..<10 {
            let listener = try await UVNetwork().listen(on: address) { _ in }
            listener.close()
            listener.close()
            await turns(2)
        }
    }

    @Test @Loop func theConnectionsOfAClosedListenerLiveOn() async throws {
        try await withPair { pair in
            pair.listener.close()
            await turns(2)
            pair.client.write([1, 2, 3])
            await until("still connected") { pair.serverSide.bytes == [1, 2, 3] }
        }
    }

    @Test @Loop func aPeerThatDoesNotAnswerTimesOut() async throws {
        let deaf = try RawSocket.fullListener()
        let clock = SystemClock.shared
        let start = clock.now
        let address = SocketAddress(host: "127.0.0.1", port: deaf.socket.port)
        let error = await failure { () throws(NetworkError) in
            try await UVNetwork().connect(to: address, within: .milliseconds(30))
        }
        #expect(error?.code == "ETIMEDOUT")
        #expect(error?.description.contains(address.description) == true)
        #expect(clock.now - start >= 30_000_000)
        deaf.socket.close()
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    @Loop func anAddressThatCannotBeBoundIsNamed(host: String) async {
        let address = SocketAddress(host: host == "::1" ? "2001:db8::1" : "192.0.2.1", port: 0)
        let error = await failure { () throws(NetworkError) in
            try await UVNetwork().listen(on: address) { _ in }
        }
        #expect(error?.code == "EADDRNOTAVAIL")
        #expect(error?.description.contains(address.description) == true)
    }

    @Test @Loop func aThousandPeersConnectAtOnce() async throws {
        let accepted = Journal<any ByteStream>()
        let listener = try await UVNetwork().listen(on: anyPort) { accepted.note($0) }
        let connected = Journal<any ByteStream>()
        let address = listener.localAddress
        for _ in 0..<1000 {
            Loop.spawn {
                do {
                    connected.note(try await UVNetwork().connect(to: address, within: .seconds(20)))
                } catch { Issue.record(error) }
            }
        }
        await until("all are connected") { connected.entries.count == 1000 && accepted.entries.count == 1000 }
        for stream in connected.entries + accepted.entries { stream.close() }
        listener.close()
    }

    /// In processes of their own, where nobody else opens anything.
    @Test func aThousandConnectionsLeaveNothingBehind() async {
        await #expect(processExitsWith: .success) {
            try await openAndClose(10)
            let descriptors = try openDescriptors()
            let handles = await handleCounts()
            let timers = await SystemClock.shared.pendingTimers
            for round in 0..<5 { try await openAndClose(200, politely: round % 2 == 0) }
            try await settle(handles, descriptors)
            #expect(await SystemClock.shared.pendingTimers == timers)
        }
    }

    @Test func failedAttemptsLeaveNothingBehind() async {
        await #expect(processExitsWith: .success) {
            try await failInEveryWay()
            let descriptors = try openDescriptors()
            let handles = await handleCounts()
            for _ in 0..<20 { try await failInEveryWay() }
            try await settle(handles, descriptors)
        }
    }

    /// Measured, not judged: it depends on the allocator and the machine.
    @Test func bytesPerIdleConnectionPairAreToldInTheLog() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            _ = try await openPairs(100)
            let before = try residentBytes()
            let pairs = try await openPairs(1000)
            print("bytes per idle pair:", (try residentBytes() - before) / pairs.count)
        }
        let text = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
        print(text.split(separator: "\n").first { $0.hasPrefix("bytes per idle pair") } ?? "not measured")
    }
}

/// Opens `count` connections at a time and closes them from one side or by exchange of ends.
@Loop private func openAndClose(_ count: Int, politely: Bool = true) async throws {
    let pairs = try await openPairs(count)
    for pair in pairs {
        pair.client.write([1, 2, 3])
        if politely { pair.client.closeAfterFlush(within: .seconds(20)) } else { pair.client.close() }
    }
    for pair in pairs {
        await until("both have ended") { !pair.clientSide.ends.isEmpty && !pair.serverSide.ends.isEmpty }
    }
    await turns(2)
}

/// One attempt of each kind that cannot succeed.
@Loop private func failInEveryWay() async throws {
    let network = UVNetwork()
    let listener = try await network.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) { _ in }
    let address = listener.localAddress
    let inUse = await failure { () throws(NetworkError) in try await network.listen(on: address) { _ in } }
    listener.close()
    let refusing = try RawSocket.refusing()
    let nobody = SocketAddress(host: "127.0.0.1", port: refusing.port)
    let refused = await failure { () throws(NetworkError) in
        try await network.connect(to: nobody, within: .seconds(20))
    }
    refusing.close()
    let missing = await failure { () throws(NetworkError) in try ChildProcess(.init("/no/such/program")) }
    let forbidden = await failure { () throws(NetworkError) in try SignalWatcher(9) {} }
    let codes = [inUse, refused, missing, forbidden].map { $0?.code }
    #expect(codes == ["EADDRINUSE", "ECONNREFUSED", "ENOENT", "EINVAL"])
    await turns(2)
}

/// The first count may have met a descriptor of the runtime's own that was open for a moment; a leak shows in hundreds.
@Loop private func settle(_ handles: [UInt32: Int], _ descriptors: Int) async throws {
    await until("handles are closed") { handleCounts() == handles }
    try await until("descriptors are closed") { try openDescriptors() <= descriptors }
}

/// Connected pairs over one listener, which is closed again.
@Loop private func openPairs(_ count: Int) async throws -> [Pair] {
    let network = UVNetwork()
    let accepted = Journal<any ByteStream>()
    let listener = try await network.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) {
        accepted.note($0)
    }
    var pairs: [Pair] = []
    for index in 0..<count {
        let client = try await network.connect(to: listener.localAddress, within: .seconds(20))
        await until("accepted") { accepted.entries.count > index }
        pairs.append(Pair(listener: listener, client: client, server: accepted.entries[index]))
    }
    listener.close()
    return pairs
}
