// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloWire

/// The caller's side of the handshake: frame in, step out.
struct OutboundHandshake {
    enum Step {
        case send(RPCFrame)
        /// Everything is sealed from here on, this frame too.
        case seal(NoiseKeys, RPCFrame)
        case wait
        /// Both sides have proved the secret.
        case established(InstanceID)
        case failed(HandshakeFailure)
    }

    private enum State {
        case greeted
        case sealing(NoiseHandshake)
        case proved(Proofs, InstanceID)
        case trusting(InstanceID)
    }

    let hello: Hello
    private let secret: Bytes
    private let sealedStart: SealedStart?
    private var state = State.greeted

    /// With a `sealedStart` the connection is sealed.
    init(_ hello: Hello, secret: Bytes, sealedStart: SealedStart? = nil) {
        self.hello = hello
        self.secret = secret
        self.sealedStart = sealedStart
    }

    /// What the caller says first.
    mutating func start() -> Step {
        guard let sealedStart else { return .send(.hello(hello.encoded())) }
        var noise = sealedStart.handshake(.initiator)
        do throws(NoiseError) {
            let message = try noise.write(hello.encoded())
            state = .sealing(noise)
            return .send(.noise([SealedStart.version] + message))
        } catch {
            return .failed(.malformed)
        }
    }

    mutating func receive(_ frame: RPCFrame) -> Step {
        switch (state, frame) {
        case (_, .refused(let code, let reason)):
            return .failed(.refused(Refusal(rawValue: code), reason))
        case (.greeted, .challenge(let body)):
            guard let challenge = Challenge(body) else { return .failed(.malformed) }
            if let failure = objection(to: challenge) { return .failed(failure) }
            let proofs = Proofs(secret: secret, hello: hello, challenge: challenge)
            state = .proved(proofs, challenge.instance)
            return .send(.proof(proofs.proof(of: .caller)))
        case (.sealing(var noise), .noise(let message)):
            return seal(&noise, message)
        case (.proved(let proofs, let instance), .proof(let proof)):
            guard proofs.isValid(proof, of: .callee) else {
                return .failed(.refused(.secret, "it did not prove the cluster secret"))
            }
            state = .trusting(instance)
            return .wait
        case (.trusting(let instance), .welcome):
            return .established(instance)
        default:
            return .failed(.malformed)
        }
    }

    private mutating func seal(_ noise: inout NoiseHandshake, _ message: Bytes) -> Step {
        do throws(NoiseError) {
            guard let challenge = Challenge(try noise.read(message)) else { return .failed(.malformed) }
            if let failure = objection(to: challenge) { return .failed(failure) }
            state = .trusting(challenge.instance)
            return .seal(try noise.split(), .proof([]))
        } catch {
            return .failed(.refused(.secret, "it did not prove the cluster secret"))
        }
    }

    private func objection(to challenge: Challenge) -> HandshakeFailure? {
        guard challenge.server == hello.callee else {
            return .refused(.server, "\(challenge.server) answers at the address of \(hello.callee)")
        }
        guard hello.expected ?? challenge.instance == challenge.instance else {
            return .refused(.replaced, "another instance answers")
        }
        return nil
    }
}

/// Why a connection to a server did not come to stand.
enum HandshakeFailure: Error, Equatable, CustomStringConvertible {
    /// Nil for a code of a later version.
    case refused(Refusal?, String)
    case malformed
    /// Nobody listens at its address.
    case absent(String)
    case unreachable(String)

    /// Whether the server is certainly not at its address: what answers, if anything, is another's.
    var isOfAnother: Bool {
        switch self {
        case .absent, .malformed, .refused(.server, _), .refused(.cluster, _): true
        case .refused, .unreachable: false
        }
    }

    var description: String {
        switch self {
        case .refused(_, let reason): "refused: \(reason)"
        case .malformed: "it does not speak this protocol"
        case .absent(let reason), .unreachable(let reason): reason
        }
    }
}

/// The callee's side of the handshake: frame in, step out.
struct InboundHandshake {
    enum Step {
        case send(RPCFrame)
        /// This frame goes as it is, everything after it is sealed.
        case seal(RPCFrame, NoiseKeys)
        /// The caller has proved the secret; the frames answer it.
        case established(Hello, [RPCFrame])
        case refuse(Refusal, String)
    }

    private enum State {
        case listening
        case challenged(Proofs, Hello)
        case sealed(Hello)
        case done
    }

    private let cluster: String
    private let own: Challenge
    private let secret: Bytes
    private let sealedStart: SealedStart
    private let mustSeal: Bool
    private var state = State.listening

    init(cluster: String, own: Challenge, secret: Bytes, sealedStart: SealedStart, mustSeal: Bool) {
        self.cluster = cluster
        self.own = own
        self.secret = secret
        self.sealedStart = sealedStart
        self.mustSeal = mustSeal
    }

    mutating func receive(_ frame: RPCFrame) -> Step {
        switch (state, frame) {
        case (.listening, .hello(let body)):
            if mustSeal { return refuse(.seal, "\(own.server) accepts sealed connections only") }
            guard let hello = Hello(body) else { return refuse(.malformed, "hello is malformed") }
            if let step = objection(to: hello) { return step }
            state = .challenged(Proofs(secret: secret, hello: hello, challenge: own), hello)
            return .send(.challenge(own.encoded()))
        case (.listening, .noise(let body)):
            return seal(body)
        case (.challenged(let proofs, let caller), .proof(let proof)):
            guard proofs.isValid(proof, of: .caller) else {
                return refuse(
                    .secret, "the cluster secret of \(caller.server) differs from that of \(own.server)")
            }
            state = .done
            return .established(caller, [.proof(proofs.proof(of: .callee)), .welcome])
        case (.sealed(let caller), .proof):
            // Sealed: only who has made this handshake's first message can have sealed it.
            state = .done
            return .established(caller, [.welcome])
        default:
            return refuse(.malformed, "frame out of order")
        }
    }

    private mutating func seal(_ body: Bytes) -> Step {
        guard body.first == SealedStart.version else {
            return refuse(.version, "protocol version \(Hello.version) is spoken")
        }
        var noise = sealedStart.handshake(.responder)
        do throws(NoiseError) {
            let payload = try noise.read(Bytes(body.dropFirst()))
            guard let hello = Hello(payload) else { return refuse(.malformed, "hello is malformed") }
            if let step = objection(to: hello) { return step }
            let answer = try noise.write(own.encoded())
            state = .sealed(hello)
            return .seal(.noise(answer), try noise.split())
        } catch {
            return refuse(.secret, "the cluster's secret or name differs from that of \(own.server)")
        }
    }

    private mutating func objection(to hello: Hello) -> Step? {
        if hello.version != Hello.version {
            return refuse(.version, "protocol version \(Hello.version) is spoken")
        }
        if Text(hello.cluster) != Text(cluster) { return refuse(.cluster, "\(own.server) belongs to another cluster") }
        if hello.callee != own.server { return refuse(.server, "this is \(own.server), not \(hello.callee)") }
        if let expected = hello.expected, expected != own.instance {
            return refuse(.replaced, "\(own.server) has another instance now")
        }
        return nil
    }

    private mutating func refuse(_ refusal: Refusal, _ reason: String) -> Step {
        state = .done
        return .refuse(refusal, reason)
    }
}
