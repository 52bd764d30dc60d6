// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire

/// Between JSON, which everybody else has, and the schemas the client was welcomed with.
///
/// - Source: pomelo 2.2.7, lib/connectors/common/coder.js.
extension HybridClient {
    /// The body of a message as JSON; nil, counted, logged and answered, when it does not fit its schema.
    ///
    /// It may become as long as a client's message may be that is JSON.
    func decoded(_ body: Span<UInt8>, of route: Route, id: UInt32) -> Bytes? {
        guard let codec = edition.schemas?.client[route] else { return body.copied() }
        do throws(WireError) {
            return try codec.decode(body, maxBytes: shared.limits.maxMessageBytes)
        } catch {
            port.statistics.undecodableMessages += 1
            shared.undecodable.write(["pomelo.route": "\(route.text.forLog)", "error": "\(error)"])
            fail(id: id, route: route)
            return nil
        }
    }

    /// Answers a request 500, unless its schema has no way to say that: an empty answer would mean success.
    func fail(id: UInt32, route: Route?) {
        guard id > 0 else { return }
        guard let route, let codec = edition.schemas?.server[route] else {
            return respond(id: id, body: HybridProtocol.failure)
        }
        if let failure = MessageSchemas.failure(of: codec) { respond(id: id, body: failure) }
    }

    @specialized(where Connection == StreamConnection)
    func respond(id: UInt32, route: Route, body: Bytes) {
        guard state.phase == .working else { return }
        guard let codec = edition.schemas?.server[route] else { return respond(id: id, body: body) }
        respond(id: id, body: encode(body, codec, route.text)) { MessageSchemas.failure(of: codec) ?? [] }
    }

    /// The body of a push, as clients of this edition read it.
    func body(of push: PushMessage) -> Bytes {
        guard let schemas = edition.schemas, let codec = schemas.serverSchema.codec(for: push.route) else {
            return push.body
        }
        // It knows its bytes by the address of an object of the edition, which must be no later one's.
        _ = push.form(for: ObjectIdentifier(edition)) { edition }
        return encode(push.body, codec, push.route)
    }

    /// Empty, counted and logged, when there is no such message: clients cannot read JSON there.
    private func encode(_ body: Bytes, _ codec: ProtobufCodec, _ route: String) -> Bytes {
        do throws(WireError) {
            return try codec.encode(body)
        } catch {
            port.statistics.unencodableMessages += 1
            shared.unencodable.write(["pomelo.route": "\(route.forLog)", "error": "\(error)"])
            return []
        }
    }
}
