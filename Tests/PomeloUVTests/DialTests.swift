// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloUV

/// Connections to names that have several addresses, or whose addresses change; the loopback network has many.
@Suite struct DialTests {
    private static let patience = Duration.seconds(60)

    /// A listener at 127.0.0.2 on the port of a black hole at 127.0.0.1, which answers nothing.
    @Loop private func withBlackHole(
        _ body: @Loop (_ network: UVNetwork, _ port: Int) async throws -> Void
    ) async throws {
        let port = try await TestPorts.next()
        let hole = try RawSocket.fullListener(at: port)
        let network = UVNetwork()
        network.resolver.hosts = ["two": "127.0.0.1 127.0.0.2", "one": "127.0.0.1"]
        let listener = try await network.listen(on: SocketAddress(host: "127.0.0.2", port: port)) { $0.close() }
        try await body(network, port)
        listener.close()
        hole.socket.close()
    }

    @Test @Loop func aBlackHoleInFrontDoesNotEatTheDeadline() async throws {
        try await withBlackHole { network, port in
            let start = SystemClock.shared.now
            let stream = try await network.connect(to: SocketAddress(host: "two", port: port), within: Self.patience)
            #expect(stream.remoteAddress == SocketAddress(host: "127.0.0.2", port: port))
            // A share of the deadline for each would be 30 s.
            #expect(SystemClock.shared.now - start < 20_000_000_000)
            stream.close()
        }
    }

    @Test @Loop func theAddressThatWasGoodComesFirst() async throws {
        try await withBlackHole { network, port in
            let two = SocketAddress(host: "two", port: port)
            #expect(network.resolver.candidates(for: two).addresses.map(\.host) == ["127.0.0.1", "127.0.0.2"])
            try await network.connect(to: two, within: Self.patience).close()
            #expect(network.resolver.candidates(for: two).addresses.map(\.host) == ["127.0.0.2", "127.0.0.1"])
            network.resolver.note("two", "127.0.0.2", isGood: false)
            #expect(network.resolver.candidates(for: two).addresses.map(\.host) == ["127.0.0.1", "127.0.0.2"])
        }
    }

    /// Both answer: the first one wins, and the other is not left open.
    @Test @Loop func ofTwoThatAnswerTheFirstIsTaken() async throws {
        let network = UVNetwork()
        let accepted = Journal<SocketAddress>()
        let port = try await TestPorts.next()
        let first = try await network.listen(on: SocketAddress(host: "127.0.0.1", port: port)) { stream in
            accepted.note(stream.localAddress)
            stream.close()
        }
        let second = try await network.listen(on: SocketAddress(host: "127.0.0.2", port: port)) { stream in
            accepted.note(stream.localAddress)
            stream.close()
        }
        network.resolver.hosts = ["two": "127.0.0.1 127.0.0.2"]
        for _ in 0..<20 {
            let stream = try await network.connect(to: SocketAddress(host: "two", port: port), within: Self.patience)
            #expect(stream.remoteAddress.host == "127.0.0.1")
            stream.close()
        }
        await until("all are accepted") { accepted.entries.count >= 20 }
        #expect(accepted.entries.allSatisfy { $0.host == "127.0.0.1" })
        first.close()
        second.close()
    }

    @Test @Loop func aNameThatHasMovedIsFoundAtItsNewAddress() async throws {
        let network = UVNetwork()
        network.resolver.deadline = Self.patience
        let listener = try await network.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) { $0.close() }
        // What the name was when it was asked last: refused there.
        network.resolver.answers = ["localhost": ["127.0.0.9"]]
        let address = SocketAddress(host: "localhost", port: listener.localAddress.port)
        let stream = try await network.connect(to: address, within: Self.patience)
        #expect(stream.remoteAddress.host == "127.0.0.1")
        #expect(network.resolver.answers["localhost"]?.first == "127.0.0.1")
        stream.close()
        listener.close()
    }

    @Test @Loop func aDeadlineNamesWhoWasSilent() async throws {
        try await withBlackHole { network, port in
            let error = await failure { () throws(NetworkError) in
                try await network.connect(to: SocketAddress(host: "one", port: port), within: .milliseconds(30))
            }
            #expect(error?.code == "ETIMEDOUT")
            #expect(error?.description.contains("127.0.0.1:\(port)") == true, "\(String(describing: error))")
        }
    }

    /// Ports come from other servers, too.
    @Test(arguments: [-1, 65_536, 99_999_999_999, Int.max, Int.min]) @Loop
    func aPortBeyondAllPortsIsAnError(_ port: Int) async {
        for host in ["127.0.0.1", "::1"] {
            let address = SocketAddress(host: host, port: port)
            let error = await failure { () throws(NetworkError) in
                try await UVNetwork().connect(to: address, within: Self.patience)
            }
            #expect(error?.code == "EINVAL")
            let listening = await failure { () throws(NetworkError) in
                try await UVNetwork().listen(on: address) { $0.close() }
            }
            #expect(listening?.code == "EINVAL")
        }
    }

    /// In a process of its own, where nobody else opens anything.
    @Test func aStopDuringAConnectClosesTheSocket() async {
        await #expect(processExitsWith: .success) {
            try await cancelOne()
            let descriptors = try openDescriptors()
            for _ in 0..<20 { try await cancelOne() }
            try await until("no descriptor is left") { try openDescriptors() <= descriptors }
        }
    }

    /// Whoever asks while a question is under way waits for the same answer, so none pile up behind a dead resolver.
    @Test @Loop func aNameIsAskedOnceAtATime() async throws {
        let resolver = Resolver()
        let tally = Journal<Bool>()
        for _ in 0..<100 {
            Loop.spawn {
                let error = await failure { () throws(NetworkError) in
                    try await resolver.addresses(of: SocketAddress(host: "localhost", port: 1), within: Self.patience)
                }
                tally.note(error == nil)
            }
        }
        await Loop.yield()
        await Loop.yield()
        #expect(resolver.questions <= 1)
        await until("all have an answer") { tally.entries.count == 100 }
        #expect(tally.entries.allSatisfy { $0 })
        #expect(resolver.questions == 0)
    }
}

/// Begins a connection that cannot come about, and cancels it.
@Loop private func cancelOne() async throws {
    let hole = try RawSocket.fullListener()
    let ended = Journal<String?>()
    let task = Loop.spawn {
        let address = SocketAddress(host: "127.0.0.1", port: hole.socket.port)
        let error = await failure { () throws(NetworkError) in
            try await UVNetwork().connect(to: address, within: .seconds(60))
        }
        ended.note(error?.code)
    }
    await turns(2)
    task.cancel()
    await until("it has ended") { !ended.entries.isEmpty }
    #expect(ended.entries == ["ECANCELED"])
    for socket in hole.waiting { socket.close() }
    hole.socket.close()
    await turns(2)
}
