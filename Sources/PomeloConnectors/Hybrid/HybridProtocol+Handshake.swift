// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire

/// What a handshake is answered.
extension HybridProtocol {
    /// What becomes of a handshake: the answer, and the fault where the client is not let in.
    enum Verdict {
        case welcome(Bytes, HybridEdition, key: ClientKey?)
        case refusal(Bytes, ConnectionFault)
    }

    /// Judges a handshake, and tells at once, unless the application has a hook.
    ///
    /// - Source: pomelo 2.2.7, lib/connectors/commands/handshake.js.
    func judge(_ body: Span<UInt8>, _ unsendable: LimitedLog, _ tell: @escaping @Loop (Verdict) -> Void) {
        guard let request = HandshakeRequest.decode(body) else {
            return tell(.refusal(HandshakeReply.badRequest, .handshakeRefused))
        }
        if let check = options.checkClient, !check(request.type, request.version) {
            return tell(.refusal(HandshakeReply.rejected, .clientRejected))
        }
        let key = options.useCrypto ? ClientKey(request.message["sys"]?["rsa"]) : nil
        if options.useCrypto, key == nil { return tell(.refusal(HandshakeReply.badRequest, .handshakeRefused)) }
        guard let hook = options.handshake else { return tell(verdict(request, user: nil, key, unsendable)) }
        Loop.spawn { [self] in
            do {
                tell(verdict(request, user: try await hook(request.message), key, unsendable))
            } catch {
                failedHandshakes.write(["error": "\(error)"])
                tell(.refusal(HandshakeReply.badRequest, .handshakeRefused))
            }
        }
    }

    private func verdict(
        _ request: HandshakeRequest, user: JSON?, _ key: ClientKey?, _ unsendable: LimitedLog
    ) -> Verdict {
        do throws(WireError) {
            return .welcome(try edition.welcome(request, user: user), edition, key: key)
        } catch {
            unsendable.write(["pomelo.message": "handshake answer", "error": "\(error)"])
            return .refusal(HandshakeReply.badRequest, .handshakeRefused)
        }
    }
}
