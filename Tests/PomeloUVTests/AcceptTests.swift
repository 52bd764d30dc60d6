// SPDX-License-Identifier: MIT
import Glibc
import PomeloLoop
import TestHelpers
import Testing

@testable import PomeloUV

@Suite struct AcceptTests {
    private let anyPort = SocketAddress(host: "127.0.0.1", port: 0)

    @Test @Loop func aPausedListenerAcceptsNobodyUntilItIsResumed() async throws {
        let accepted = Journal<any ByteStream>()
        let network = UVNetwork()
        let listener = try await network.listen(on: anyPort) { accepted.note($0) }
        listener.pauseAccepting()
        var clients: [any ByteStream] = []
        for _ in 0..<3 { clients.append(try await network.connect(to: listener.localAddress, within: .seconds(20))) }
        await turns(5)
        #expect(accepted.entries.isEmpty)
        listener.resumeAccepting()
        await until("all three are accepted") { accepted.entries.count == 3 }
        for stream in clients + accepted.entries { stream.close() }
        listener.close()
        #expect(listener.acceptErrors == 0)
    }

    @Test @Loop func aListenerPausedWhileItAcceptsStopsAtOnce() async throws {
        let accepted = Journal<any ByteStream>()
        let network = UVNetwork()
        let holder = Journal<any StreamListener>()
        let listener = try await network.listen(on: anyPort) { stream in
            accepted.note(stream)
            if accepted.entries.count == 2 { holder.entries.first?.pauseAccepting() }
        }
        holder.note(listener)
        let sockets = try (0..<5).map { _ in try RawSocket.connected(to: listener.localAddress.port) }
        await until("two are accepted") { accepted.entries.count == 2 }
        await turns(5)
        #expect(accepted.entries.count == 2)
        listener.resumeAccepting()
        await until("all are accepted") { accepted.entries.count == 5 }
        for socket in sockets { socket.close() }
        for stream in accepted.entries { stream.close() }
        listener.close()
    }

    /// Many who connect at once must not keep the loop from everything else.
    @Test @Loop func atMost64ConnectionsAreAcceptedInATurn() async throws {
        let turnOf = Journal<Int>()
        let accepted = Journal<any ByteStream>()
        let listener = try await UVNetwork().listen(on: anyPort) { stream in
            accepted.note(stream)
            turnOf.note(EventLoop.shared.turns)
        }
        let sockets = try (0..<200).map { _ in try RawSocket.connected(to: listener.localAddress.port) }
        await until("all are accepted") { accepted.entries.count == 200 }
        let largest = Dictionary(grouping: turnOf.entries) { $0 }.values.map(\.count).max() ?? 0
        #expect(largest <= TCPListener.acceptsPerTurn, "\(turnOf.entries)")
        for socket in sockets { socket.close() }
        for stream in accepted.entries { stream.close() }
        listener.close()
    }

    /// In a process of its own, whose descriptors are used up.
    @Test func wantOfDescriptorsIsToldAndNobodyWhoWaitsIsLost() async {
        await #expect(processExitsWith: .success) { try await Self.wantOfDescriptors() }
    }

    @Loop private static func wantOfDescriptors() async throws {
        let errors = Journal<NetworkError>()
        let accepted = Journal<any ByteStream>()
        let listener = try await UVNetwork().listen(on: SocketAddress(host: "127.0.0.1", port: 0)) {
            accepted.note($0)
        }
        listener.onAcceptError = { errors.note($0) }
        let socket = try RawSocket.unconnected()
        let hoard = hoardDescriptors()
        try socket.connect(to: listener.localAddress.port)
        await until("an error is told") { !errors.entries.isEmpty }
        let turns = EventLoop.shared.turns
        await SystemClock.shared.sleep(for: .milliseconds(250))
        #expect(errors.entries.first?.code == "EMFILE")
        #expect(listener.acceptErrors == errors.entries.count && listener.acceptErrors <= 10)
        #expect(EventLoop.shared.turns - turns < 200, "the loop does not spin")
        for descriptor in hoard { close(descriptor) }
        await until("who waited is accepted") { accepted.entries.count == 1 }
        socket.close()
    }

    /// In processes of their own, whose limits are set.
    @Test func theLimitIsRaisedAndAReserveIsKept() async {
        await #expect(processExitsWith: .success) {
            var limits = rlimit(rlim_cur: 128, rlim_max: 256)
            #expect(unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0)
            #expect(Descriptors.limit == 128 && Descriptors.connectionLimit == 64)
            #expect(Descriptors.raiseLimit() == 256)
            #expect(Descriptors.connectionLimit == 192)
        }
        await #expect(processExitsWith: .success) {
            var limits = rlimit(rlim_cur: 1024, rlim_max: 1024)
            #expect(unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0)
            #expect(Descriptors.raiseLimit() == 1024)
            #expect(Descriptors.connectionLimit == 768)
        }
    }

    /// Takes every descriptor this process may have.
    private static func hoardDescriptors() -> [Int32] {
        var limit = rlimit(rlim_cur: 128, rlim_max: 0)
        var former = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &former)
        limit.rlim_max = former.rlim_max
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var hoard: [Int32] = []
        while case let copy = dup(2), copy >= 0 { hoard.append(copy) }
        return hoard
    }
}
