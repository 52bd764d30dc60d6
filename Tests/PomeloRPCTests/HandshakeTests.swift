// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloWire
import Testing

@testable import PomeloRPC

@Suite struct HandshakeTests {
    private static let hello = Hello(
        cluster: "c", server: "a", instance: "a1", callee: "b", expected: "b1", nonce: "n1", sent: 77)

    private func start(_ secret: String, _ cluster: String = "c") -> SealedStart {
        SealedStart(secret: Bytes(secret.utf8), cluster: cluster)
    }

    private func caller(
        _ change: (inout Hello) -> Void = { _ in }, secret: String = "s", isSealed: Bool = false
    ) -> OutboundHandshake {
        var hello = Self.hello
        change(&hello)
        return OutboundHandshake(
            hello, secret: Bytes(secret.utf8), sealedStart: isSealed ? start(secret, hello.cluster) : nil)
    }

    private func callee(secret: String = "s", mustSeal: Bool = false) -> InboundHandshake {
        InboundHandshake(
            cluster: "c", own: Challenge(server: "b", instance: "b1", nonce: "n2"), secret: Bytes(secret.utf8),
            sealedStart: start(secret), mustSeal: mustSeal)
    }

    /// How each side ended, in words, and the keys of a sealed connection.
    private struct Ends {
        var caller = "waits"
        var callee = "waits"
        var callerKeys: NoiseKeys?
        var calleeKeys: NoiseKeys?
    }

    /// Runs both sides against each other.
    private func run(_ a: OutboundHandshake, _ b: InboundHandshake) -> Ends {
        var caller = a
        var callee = b
        var ends = Ends()
        var toCallee: [RPCFrame] = []
        take(caller.start(), &ends, &toCallee)
        while !toCallee.isEmpty {
            var toCaller: [RPCFrame] = []
            switch callee.receive(toCallee.removeFirst()) {
            case .send(let frame): toCaller = [frame]
            case .seal(let frame, let keys):
                ends.calleeKeys = keys
                toCaller = [frame]
            case .refuse(let refusal, let reason):
                ends.callee = "\(refusal)"
                toCaller = [.refused(code: refusal.rawValue, reason: reason)]
            case .established(let hello, let frames):
                ends.callee = "established \(hello.server) \(hello.instance) \(hello.sent)"
                toCaller = frames
            }
            for frame in toCaller { take(caller.receive(frame), &ends, &toCallee) }
        }
        return ends
    }

    private func take(_ step: OutboundHandshake.Step, _ ends: inout Ends, _ toCallee: inout [RPCFrame]) {
        switch step {
        case .send(let frame): toCallee.append(frame)
        case .seal(let keys, let frame):
            ends.callerKeys = keys
            toCallee.append(frame)
        case .wait: break
        case .established, .failed: ends.caller = step.text
        }
    }

    @Test(
        arguments: ["s", "", String(repeating: "long secret ", count: 100)], [false, true])
    func equalSecretsMeet(secret: String, isSealed: Bool) throws {
        let ends = run(caller(secret: secret, isSealed: isSealed), callee(secret: secret, mustSeal: isSealed))
        #expect(ends.caller == "established b1" && ends.callee == "established a a1 77")
        #expect((ends.callerKeys != nil) == isSealed && (ends.calleeKeys != nil) == isSealed)
        guard var near = ends.callerKeys, var far = ends.calleeKeys else { return }
        #expect(try far.receiving.open(try near.sending.seal([1, 2, 3])[...]) == [1, 2, 3])
        #expect(try near.receiving.open(try far.sending.seal([4])[...]) == [4])
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let refusal: Refusal
        let change: @Sendable (inout Hello) -> Void
        var secret = "s"
        /// What is told where the name and the secret are one key.
        var sealed: Refusal?
    }

    @Test(
        arguments: [
            Refused(testDescription: "another secret", refusal: .secret, change: { _ in }, secret: "t"),
            Refused(testDescription: "no secret", refusal: .secret, change: { _ in }, secret: ""),
            Refused(
                testDescription: "another cluster", refusal: .cluster, change: { $0.cluster = "d" }, sealed: .secret),
            Refused(testDescription: "another version", refusal: .version, change: { $0.version = 1 }),
            Refused(testDescription: "another server", refusal: .server, change: { $0.callee = "x" }),
            Refused(testDescription: "another instance", refusal: .replaced, change: { $0.expected = "b0" }),
        ], [false, true])
    func refusals(_ refused: Refused, isSealed: Bool) {
        let ends = run(caller(refused.change, secret: refused.secret, isSealed: isSealed), callee())
        let expected = isSealed ? refused.sealed ?? refused.refusal : refused.refusal
        #expect(ends.callee == "\(expected)" && ends.caller == "\(expected)")
    }

    @Test func whoMustSealRefusesWhoDoesNotAndNotTheOtherWayAbout() {
        let open = run(caller(), callee(mustSeal: true))
        #expect(open.callee == "seal" && open.caller == "seal")
        #expect(run(caller(isSealed: true), callee(mustSeal: false)).callee.hasPrefix("established"))
    }

    @Test(arguments: [false, true])
    func anyInstanceWillDoWhenNoneIsExpected(isSealed: Bool) {
        #expect(run(caller({ $0.expected = nil }, isSealed: isSealed), callee()).caller == "established b1")
    }

    @Test func aCalleeThatDoesNotKnowTheSecretIsNotTrusted() {
        var caller = caller()
        _ = caller.receive(.challenge(Challenge(server: "b", instance: "b1", nonce: "n").encoded()))
        #expect(caller.receive(.proof(Bytes(repeating: 0, count: 32))).text == "secret")
    }

    @Test(arguments: [0, 10, 32, 60, 80])
    func aCalleeThatDoesNotKnowTheKeyIsNotTrusted(length: Int) {
        var caller = caller(isSealed: true)
        _ = caller.start()
        #expect(caller.receive(.noise(Bytes(repeating: 9, count: length))).text == "secret")
    }

    /// What one conversation began with begins no second one: nobody can seal what must follow.
    @Test func aRepeatedFirstMessageIsNoCaller() throws {
        var caller = caller(isSealed: true)
        guard case .send(let first) = caller.start() else { return #expect(Bool(false)) }
        for _ in 0..<2 {
            var callee = callee()
            guard case .seal(_, let keys) = callee.receive(first) else { return #expect(Bool(false)) }
            var receiving = keys.receiving
            #expect(throws: NoiseError.notAuthentic) {
                try receiving.open(Bytes(repeating: 0, count: 40)[...])
            }
        }
    }

    @Test func theCallersProofSentBackProvesNothing() {
        var caller = caller()
        let challenge = Challenge(server: "b", instance: "b1", nonce: "n")
        guard case .send(.proof(let own)) = caller.receive(.challenge(challenge.encoded())) else {
            return #expect(Bool(false))
        }
        #expect(caller.receive(.proof(own)).text == "secret")
    }

    @Test func welcomeWithoutProofIsNotAccepted() {
        var caller = caller()
        _ = caller.receive(.challenge(Challenge(server: "b", instance: "b1", nonce: "n").encoded()))
        #expect(caller.receive(.welcome).text == "malformed")
    }

    /// Asked to seal, a caller does not fall back to a connection that is not.
    @Test func aSealedCallerAnswersNoOpenChallenge() {
        var caller = caller(isSealed: true)
        _ = caller.start()
        let challenge = Challenge(server: "b", instance: "b1", nonce: "n")
        #expect(caller.receive(.challenge(challenge.encoded())).text == "malformed")
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
            frames: [.call(id: 1, sent: 0, remainingMilliseconds: 9, .init(procedure: 0, name: "m"), payload: [])]),
        Strange(testDescription: "proof first", frames: [.proof([])]),
        Strange(testDescription: "hello twice", frames: [.hello(hello.encoded()), .hello(hello.encoded())]),
        Strange(testDescription: "noise after hello", frames: [.hello(hello.encoded()), .noise([2])]),
        Strange(
            testDescription: "ping before proof", frames: [.hello(hello.encoded()), .ping(token: 1, sent: 0)]),
    ])
    func framesOutOfOrderAreRefused(_ strange: Strange) {
        var callee = callee()
        var last: InboundHandshake.Step?
        for frame in strange.frames { last = callee.receive(frame) }
        guard case .refuse(.malformed, _) = last else {
            return #expect(Bool(false), "\(String(describing: last))")
        }
    }

    /// By their first byte and the number of zeros that follow it; -1 is an empty message.
    @Test(arguments: [(0, -1), (1, 0), (2, 1), (3, 0), (3, 31), (3, 999)])
    func firstMessagesThatAreNoneAreRefused(first: UInt8, zeros: Int) {
        let body = zeros < 0 ? [] : [first] + Bytes(repeating: 0, count: zeros)
        var callee = callee()
        guard case .refuse(let refusal, _) = callee.receive(.noise(body)) else { return #expect(Bool(false)) }
        #expect(refusal == (body.first == 3 ? .secret : .version))
    }

    @Test func aHelloFitsItsFrame() throws {
        let long = String(repeating: "x", count: 128)
        let hello = Hello(
            cluster: long, server: ServerID(long), instance: InstanceID(long), callee: ServerID(long),
            expected: InstanceID(long), nonce: long, sent: UInt64(Int64.max))
        #expect(Hello(hello.encoded()) == hello)
        _ = try RPCFrame.hello(hello.encoded()).encoded()
        var caller = OutboundHandshake(hello, secret: [], sealedStart: start(""))
        guard case .send(let frame) = caller.start() else { return #expect(Bool(false)) }
        _ = try frame.encoded()
    }
}

extension OutboundHandshake.Step {
    /// How it ended, in words.
    fileprivate var text: String {
        switch self {
        case .established(let instance): "established \(instance)"
        case .failed(.refused(let refusal?, _)): "\(refusal)"
        case .failed(.refused(nil, _)): "refused"
        case .failed(.malformed): "malformed"
        case .failed(.absent), .failed(.unreachable): "unreachable"
        case .send, .seal, .wait: "goes on"
        }
    }
}
