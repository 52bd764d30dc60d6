// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloWire

/// The caller's side of the handshake: frame in, step out.
struct CallerHandshake {
    enum Step: Equatable {
        case send(RPCFrame)
        case wait
        /// Both sides have proved the secret.
        case established(InstanceID)
        case failed(HandshakeFailure)
    }

    private enum State {
        case greeted
        case proved(Proofs, InstanceID)
        case trusting(InstanceID)
    }

    let hello: Hello
    private let secret: Bytes
    private var state = State.greeted

    init(_ hello: Hello, secret: Bytes) {
        self.hello = hello
        self.secret = secret
    }

    mutating func receive(_ frame: RPCFrame) -> Step {
        switch (state, frame) {
        case (_, .refused(let code, let reason)):
            return .failed(.refused(Refusal(rawValue: code), reason))
        case (.greeted, .challenge(let body)):
            guard let challenge = Challenge(body) else { return .failed(.malformed) }
            guard challenge.server == hello.callee else {
                return .failed(
                    .refused(.server, "\(challenge.server) answers at the address of \(hello.callee)"))
            }
            if let expected = hello.expected, expected != challenge.instance {
                return .failed(.refused(.replaced, "another instance answers"))
            }
            let proofs = Proofs(secret: secret, hello: hello, challenge: challenge)
            state = .proved(proofs, challenge.instance)
            return .send(.proof(proofs.proof(of: .caller)))
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
}

/// Why a connection to a server did not come to stand.
enum HandshakeFailure: Error, Equatable, CustomStringConvertible {
    /// Nil for a code of a later version.
    case refused(Refusal?, String)
    case malformed
    case unreachable(String)

    var description: String {
        switch self {
        case .refused(_, let reason): "refused: \(reason)"
        case .malformed: "it does not speak this protocol"
        case .unreachable(let reason): reason
        }
    }
}

/// The callee's side of the handshake: frame in, step out.
struct CalleeHandshake {
    enum Step: Equatable {
        case send(RPCFrame)
        /// The caller has proved the secret; the frames answer it.
        case established(ServerID, InstanceID, [RPCFrame])
        case refuse(Refusal, String)
    }

    private enum State {
        case listening
        case challenged(Proofs, Hello)
        case done
    }

    private let cluster: String
    private let own: Challenge
    private let secret: Bytes
    private var state = State.listening

    init(cluster: String, own: Challenge, secret: Bytes) {
        self.cluster = cluster
        self.own = own
        self.secret = secret
    }

    mutating func receive(_ frame: RPCFrame) -> Step {
        switch (state, frame) {
        case (.listening, .hello(let body)):
            guard let hello = Hello(body) else { return refuse(.malformed, "hello is malformed") }
            if let step = objection(to: hello) { return step }
            state = .challenged(Proofs(secret: secret, hello: hello, challenge: own), hello)
            return .send(.challenge(own.encoded()))
        case (.challenged(let proofs, let caller), .proof(let proof)):
            guard proofs.isValid(proof, of: .caller) else {
                return refuse(.secret, "the cluster secret of \(caller.server) differs from that of \(own.server)")
            }
            state = .done
            return .established(caller.server, caller.instance, [.proof(proofs.proof(of: .callee)), .welcome])
        default:
            return refuse(.malformed, "frame out of order")
        }
    }

    private mutating func objection(to hello: Hello) -> Step? {
        if hello.version != Hello.version {
            return refuse(.version, "protocol version \(Hello.version) is spoken")
        }
        if hello.cluster != cluster { return refuse(.cluster, "\(own.server) belongs to another cluster") }
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
