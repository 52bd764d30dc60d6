// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloWire
import Testing

@testable import PomeloRPC

@Suite struct HandshakeTests {
    private static let hello = Hello(
        cluster: "c", server: "a", instance: "a1", callee: "b", expected: "b1", nonce: "n1")

    private func caller(_ change: (inout Hello) -> Void = { _ in }, secret: String = "s") -> CallerHandshake {
        var hello = Self.hello
        change(&hello)
        return CallerHandshake(hello, secret: Bytes(secret.utf8))
    }

    private func callee(secret: String = "s") -> CalleeHandshake {
        CalleeHandshake(
            cluster: "c", own: Challenge(server: "b", instance: "b1", nonce: "n2"), secret: Bytes(secret.utf8)
        )
    }

    /// Runs both sides against each other; returns how each ended.
    private func run(_ a: CallerHandshake, _ b: CalleeHandshake) -> (
        CallerHandshake.Step?, CalleeHandshake.Step?
    ) {
        var caller = a
        var callee = b
        var toCallee: [RPCFrame] = [.hello(caller.hello.encoded())]
        var ends: (CallerHandshake.Step?, CalleeHandshake.Step?)
        while !toCallee.isEmpty {
            var toCaller: [RPCFrame] = []
            let step = callee.receive(toCallee.removeFirst())
            switch step {
            case .send(let frame): toCaller = [frame]
            case .refuse(let refusal, let reason):
                ends.1 = step
                toCaller = [.refused(code: refusal.rawValue, reason: reason)]
            case .established(_, _, let frames):
                ends.1 = step
                toCaller = frames
            }
            for frame in toCaller {
                let step = caller.receive(frame)
                switch step {
                case .send(let frame): toCallee.append(frame)
                case .wait: break
                case .established, .failed: ends.0 = step
                }
            }
        }
        return ends
    }

    @Test(arguments: ["s", "", String(repeating: "long secret ", count: 100)])
    func equalSecretsMeet(secret: String) {
        let (caller, callee) = run(caller(secret: secret), callee(secret: secret))
        #expect(caller == .established("b1"))
        guard case .established("a", "a1", _) = callee else {
            return #expect(Bool(false), "\(String(describing: callee))")
        }
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let refusal: Refusal
        let change: @Sendable (inout Hello) -> Void
        var secret = "s"
    }

    @Test(arguments: [
        Refused(testDescription: "another secret", refusal: .secret, change: { _ in }, secret: "t"),
        Refused(testDescription: "no secret", refusal: .secret, change: { _ in }, secret: ""),
        Refused(testDescription: "another cluster", refusal: .cluster, change: { $0.cluster = "d" }),
        Refused(testDescription: "another version", refusal: .version, change: { $0.version = 2 }),
        Refused(testDescription: "another server", refusal: .server, change: { $0.callee = "x" }),
        Refused(testDescription: "another instance", refusal: .replaced, change: { $0.expected = "b0" }),
    ])
    func refusals(_ refused: Refused) {
        let (caller, callee) = run(caller(refused.change, secret: refused.secret), callee())
        guard case .refuse(let given, _) = callee, case .failed(.refused(let seen, _)) = caller else {
            return #expect(Bool(false), "\(String(describing: callee)) \(String(describing: caller))")
        }
        #expect(given == refused.refusal && seen == refused.refusal)
    }

    @Test func anyInstanceWillDoWhenNoneIsExpected() {
        let (caller, _) = run(caller { $0.expected = nil }, callee())
        #expect(caller == .established("b1"))
    }

    @Test func aCalleeThatDoesNotKnowTheSecretIsNotTrusted() {
        var caller = caller()
        _ = caller.receive(.challenge(Challenge(server: "b", instance: "b1", nonce: "n").encoded()))
        let step = caller.receive(.proof(Bytes(repeating: 0, count: 32)))
        guard case .failed(.refused(.secret, _)) = step else { return #expect(Bool(false), "\(step)") }
    }

    @Test func theCallersProofSentBackProvesNothing() {
        var caller = caller()
        let challenge = Challenge(server: "b", instance: "b1", nonce: "n")
        guard case .send(.proof(let own)) = caller.receive(.challenge(challenge.encoded())) else {
            return #expect(Bool(false))
        }
        guard case .failed(.refused(.secret, _)) = caller.receive(.proof(own)) else {
            return #expect(Bool(false))
        }
    }

    @Test func welcomeWithoutProofIsNotAccepted() {
        var caller = caller()
        _ = caller.receive(.challenge(Challenge(server: "b", instance: "b1", nonce: "n").encoded()))
        #expect(caller.receive(.welcome) == .failed(.malformed))
    }

    @Test func aProofOfOneConversationIsOfNoUseInAnother() {
        let secret = Bytes("s".utf8)
        let challenge = Challenge(server: "b", instance: "b1", nonce: "n2")
        let proof = Proofs(secret: secret, hello: Self.hello, challenge: challenge).proof(of: .caller)
        #expect(Proofs(secret: secret, hello: Self.hello, challenge: challenge).isValid(proof, of: .caller))
        var changes: [(inout Hello, inout Challenge) -> Void] = []
        changes.append { hello, _ in hello.nonce = "n9" }
        changes.append { hello, _ in hello.server = "z" }
        changes.append { hello, _ in hello.instance = "a2" }
        changes.append { hello, _ in hello.cluster = "ca" }
        changes.append { _, challenge in challenge.nonce = "n9" }
        changes.append { _, challenge in challenge.server = "z" }
        changes.append { _, challenge in challenge.instance = "b2" }
        for change in changes {
            var other = (Self.hello, challenge)
            change(&other.0, &other.1)
            let proofs = Proofs(secret: secret, hello: other.0, challenge: other.1)
            #expect(!proofs.isValid(proof, of: .caller))
        }
    }

    struct Strange: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let frames: [RPCFrame]
    }

    @Test(arguments: [
        Strange(testDescription: "hello is no JSON", frames: [.hello([0xFF])]),
        Strange(testDescription: "hello is empty", frames: [.hello([])]),
        Strange(testDescription: "hello lacks its keys", frames: [.hello(Bytes("{\"v\":1}".utf8))]),
        Strange(
            testDescription: "a call first",
            frames: [.call(id: 1, remainingMilliseconds: 9, method: "m", payload: [])]),
        Strange(testDescription: "proof first", frames: [.proof([])]),
        Strange(testDescription: "hello twice", frames: [.hello(hello.encoded()), .hello(hello.encoded())]),
        Strange(testDescription: "ping before proof", frames: [.hello(hello.encoded()), .ping(token: 1)]),
    ])
    func framesOutOfOrderAreRefused(_ strange: Strange) {
        var callee = callee()
        var last: CalleeHandshake.Step?
        for frame in strange.frames { last = callee.receive(frame) }
        guard case .refuse(.malformed, _) = last else {
            return #expect(Bool(false), "\(String(describing: last))")
        }
    }

    @Test func aHelloFitsItsFrame() throws {
        let long = String(repeating: "x", count: 128)
        let hello = Hello(
            cluster: long, server: ServerID(long), instance: InstanceID(long), callee: ServerID(long),
            expected: InstanceID(long), nonce: long)
        #expect(Hello(hello.encoded()) == hello)
        _ = try RPCFrame.hello(hello.encoded()).encoded()
    }
}
