// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloWire

/// The schemas of both directions in one version, in the form in which the connector needs them.
final class MessageSchemas: Sendable {
    /// What a client compares with the one it keeps.
    let version: String
    let serverSchema: ProtobufSchema
    let clientSchema: ProtobufSchema
    /// What the server sends: answers, by the route of their request, and pushes.
    let server: [Route: ProtobufCodec]
    /// What clients send.
    let client: [Route: ProtobufCodec]
    /// What their author should know.
    let warnings: [String]

    /// - Throws: `PomeloError` `.configuration` naming the file, the route and the field.
    init(
        server: JSON, client: JSON, serverPlace: String = "the server's schemas",
        clientPlace: String = "the clients' schemas"
    ) throws(PomeloError) {
        serverSchema = try Self.schema(server, serverPlace)
        clientSchema = try Self.schema(client, clientPlace)
        // Of what the original takes the version of, too.
        let source = clientSchema.versionSource + serverSchema.versionSource
        version = Base64.encode(Bytes(Insecure.MD5.hash(data: source)))
        self.server = Self.codecs(of: serverSchema)
        self.client = Self.codecs(of: clientSchema)
        warnings =
            serverSchema.notes.map { "\(serverPlace): \($0)" } + clientSchema.notes.map { "\(clientPlace): \($0)" }
            + self.server.filter { $0.key.isComplete && Self.failure(of: $0.value) == nil }
            .map {
                "\(serverPlace): \($0.key.text.forLog): a request that fails is answered with an empty body: its "
                    + "message needs \"optional uInt32 code\", and no field that is required"
            }.sorted()
    }

    private static func schema(_ source: JSON, _ place: String) throws(PomeloError) -> ProtobufSchema {
        do throws(WireError) {
            return try ProtobufSchema(source)
        } catch {
            guard case .malformed(let text) = error else {
                throw PomeloError(.configuration, "\(place): \(error)", cause: error)
            }
            throw PomeloError(.configuration, "\(place): \(text)", cause: error)
        }
    }

    private static func codecs(of schema: ProtobufSchema) -> [Route: ProtobufCodec] {
        var codecs: [Route: ProtobufCodec] = [:]
        for name in schema.routes { codecs[Route(name)] = schema.codec(for: name) }
        return codecs
    }

    /// `{"code":500}` as a message; nil when it has no such form.
    static func failure(of codec: ProtobufCodec) -> Bytes? {
        do throws(WireError) {
            let bytes = try codec.encode(["code": 500])
            return bytes.isEmpty ? nil : bytes
        } catch {
            return nil
        }
    }
}

/// The two files that schemas are read from.
struct SchemaFiles: Sendable {
    struct Stamp: Equatable, Sendable {
        let server: LiveFile.Stamp
        let client: LiveFile.Stamp
    }

    private let server: LiveFile
    private let client: LiveFile

    init(_ configuration: Configuration, maxBytes: Int) {
        server = configuration.liveFile("serverProtos", atMost: maxBytes)
        client = configuration.liveFile("clientProtos", atMost: maxBytes)
    }

    func stamp() -> Stamp { Stamp(server: server.stamp(), client: client.stamp()) }

    /// What the files say now, instead of what they said at `used`: one that is gone since then has been moved away by
    /// mistake, or for a moment, and all clients would lose what it said.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file, and what is wrong where.
    func read(instead used: Stamp? = nil) throws -> MessageSchemas {
        let (ours, theirs) = (try server.read(), try client.read())
        if ours == nil, used?.server.exists == true { throw Self.gone(server) }
        if theirs == nil, used?.client.exists == true { throw Self.gone(client) }
        guard ours != nil || theirs != nil else {
            throw PomeloError(.configuration, "useProtobuf: there is neither \(server.path) nor \(client.path)")
        }
        return try MessageSchemas(
            server: ours ?? [:], client: theirs ?? [:], serverPlace: server.path, clientPlace: client.path)
    }

    private static func gone(_ file: LiveFile) -> PomeloError {
        PomeloError(.configuration, "\(file.path) is gone: what it said counts until the server starts anew")
    }
}
