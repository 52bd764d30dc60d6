// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON
public import PomeloLoop
import PomeloWire

/// A push, encoded once and framed once per kind of connection, then written to any number of sockets.
@Loop public final class PushMessage {
    /// What clients listen for.
    public let route: String
    /// The message, encoded.
    public let body: Bytes
    /// Sends it to this server's clients in its own time; nil sends at once.
    var scheduler: (any PushScheduler)?
    private var encodings: [(key: ObjectIdentifier, bytes: Bytes)] = []
    private var forms: [(key: ObjectIdentifier, form: AnyObject)] = []

    /// A message whose body is encoded already.
    ///
    /// - Throws: `PomeloError` `.encoding` when no client could be sent it: the route is empty or over 255 bytes of
    ///   UTF-8, or the whole over 16 MiB.
    public init(route: String, body: Bytes) throws(PomeloError) {
        do {
            try Message.checkPush(route: route, body: body)
        } catch {
            let name = String(decoding: route.utf8.prefix(64), as: UTF8.self)
            throw PomeloError(.encoding, "cannot frame the push \(name): \(error)", cause: error)
        }
        self.route = route
        self.body = body
    }

    /// Encodes a typed message.
    ///
    /// - Throws: `PomeloError` `.encoding` naming the route.
    public convenience init<Message>(_ push: Push<Message>, _ message: Message) throws {
        let body: Bytes
        do {
            body = try JSONCoder.encode(message)
        } catch {
            throw PomeloError(.encoding, "cannot encode the push \(push.route): \(error)", cause: error)
        }
        try self.init(route: push.route, body: body)
    }

    /// The bytes for one kind of connection, made on first use; `key` is the object that stands for the kind.
    public func encoded<E: Error>(for key: ObjectIdentifier, _ make: () throws(E) -> Bytes) throws(E) -> Bytes {
        for entry in encodings where entry.key == key { return entry.bytes }
        let bytes = try make()
        encodings = encodings + [(key, bytes)]
        return bytes
    }

    /// What one connector keeps with the push, made on first use; `key` is an object of the connector's own.
    public func form<Form: AnyObject>(for key: ObjectIdentifier, _ make: () -> Form) -> Form {
        for entry in forms where entry.key == key { if let form = entry.form as? Form { return form } }
        let form = make()
        forms.append((key, form))
        return form
    }
}
