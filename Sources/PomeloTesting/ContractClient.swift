// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
import PomeloJSON
public import PomeloLoop

/// A client that speaks in the types of a contract, whatever carries what it says: `TestSocket`, `TestClient`.
///
/// ```swift
/// let moved = try await client.request(GameAPI.move, .init(x: 1))
/// let push = try await client.next(GameAPI.onMoved)
/// ```
///
/// The requirements carry bodies as they are; what tests call is in the extension.
@Loop public protocol ContractClient: AnyObject {
    /// How long anything awaited may take, by the clock of the client.
    var patience: Duration { get set }
    /// Sends a request and waits for the body that answers it.
    ///
    /// - Throws: `TestClient.Failure` when none comes in time, or the connection ends before.
    func exchange(_ route: String, _ body: Bytes) async throws -> Bytes
    /// Sends a message that wants no answer.
    ///
    /// - Throws: `TestClient.Failure` when the connection has ended; `WireError` for what cannot be framed.
    func tell(_ route: String, _ body: Bytes) throws
    /// Waits for a push of a route, and takes the oldest.
    ///
    /// - Throws: `TestClient.Failure`, naming what came instead.
    func nextBody(of route: String, within limit: Duration) async throws -> Bytes
    /// Takes the pushes of a route that are there, in the order in which they came.
    func takeBodies(of route: String) -> [Bytes]
}

extension ContractClient {
    /// Sends a client's request and waits for the reply.
    ///
    /// An answer whose `code` is a whole number other than 200 is a fault, unless it is a reply whose own type has a
    /// `code`.
    ///
    /// - Throws: `Fault`, equal to the handler's, or `Fault(500)` for any other error; `TestClient.Failure` when no
    ///   answer comes in time, or one that does not fit, whose key it names.
    @discardableResult
    public func request<Query, Reply>(_ call: Call<Query, Reply>, _ query: Query) async throws -> Reply {
        let route = call.route.text
        let body = try await exchange(route, try JSONCoder.encode(query))
        return try ContractAnswer(route: route, body: body).reply()
    }

    /// Sends a request whose query is empty.
    ///
    /// - Throws: as a request with a query.
    @discardableResult
    public func request<Reply>(_ call: Call<Nothing, Reply>) async throws -> Reply {
        try await request(call, Nothing())
    }

    /// Sends a message that wants no answer; a handler of requests is told it all the same.
    ///
    /// - Throws: `TestClient.Failure` when the connection has ended.
    public func notify<Query, Reply>(_ call: Call<Query, Reply>, _ query: Query) async throws {
        try tell(call.route.text, try JSONCoder.encode(query))
    }

    /// Waits for a push, and takes the oldest of its route: pushes are kept until they are asked for.
    ///
    /// The limit stands in place of `patience`.
    ///
    /// - Throws: `TestClient.Failure` when none comes in time, naming what came instead, or one that does not fit,
    ///   whose key it names.
    public func next<Message>(_ push: Push<Message>, within limit: Duration? = nil) async throws -> Message {
        let body = try await nextBody(of: push.route, within: limit ?? patience)
        return try Self.message(push, body)
    }

    /// Takes every push of a route that is there, in order, without waiting.
    ///
    /// - Throws: `TestClient.Failure` for one that does not fit, whose key it names.
    public func takeAll<Message>(_ push: Push<Message>) throws -> [Message] {
        try takeBodies(of: push.route).map { try Self.message(push, $0) }
    }

    private static func message<Message>(_ push: Push<Message>, _ body: Bytes) throws -> Message {
        do {
            return try JSONCoder.decode(Message.self, from: body)
        } catch {
            throw TestClient.Failure(misfit: error, Message.self, "a push \(push.route)", body)
        }
    }
}

/// What a client was answered.
private struct ContractAnswer {
    let route: String
    let body: Bytes

    func reply<Reply: Body>() throws -> Reply {
        let reply = Result { try JSONCoder.decode(Reply.self, from: body) }
        if let fault, try !isReply(reply) { throw fault }
        do {
            return try reply.get()
        } catch {
            throw TestClient.Failure(misfit: error, Reply.self, "the answer to \(route)", body)
        }
    }

    /// What the handler threw, if this is its answer.
    private var fault: Fault? {
        guard case .success(let json) = Result(catching: { () throws(WireError) in try JSON.parse(body) }),
            let answer = json.object, let code = answer["code"]?.int, code != 200
        else { return nil }
        let message = answer["message"]
        guard answer.count == (message == nil ? 1 : 2), message == nil || message?.string != nil else {
            return Fault(body: .object(answer))
        }
        return Fault(Int(code), message?.string)
    }

    /// Whether the answer fits a type that has a `code` itself: it is there when the reply is written again.
    private func isReply<Reply: Body>(_ reply: Result<Reply, any Error>) throws -> Bool {
        guard case .success(let reply) = reply else { return false }
        return try JSON.parse(try JSONCoder.encode(reply))["code"] != nil
    }
}

extension TestClient.Failure {
    /// A body that does not fit its type.
    fileprivate init(misfit error: any Error, _ type: Any.Type, _ what: String, _ body: Bytes) {
        let reason = (error as? DecodingError)?.plainText ?? "\(error)"
        self.init(description: "\(what) is no \(type): \(reason), in \(String(decoding: body, as: UTF8.self))")
    }

    /// Nothing came in time, or the end did.
    init(noPush route: String, _ why: String, instead pushes: [(route: String, body: Bytes)]) {
        let named = pushes.prefix(5).map { "\($0.route) \(String(decoding: $0.body.prefix(120), as: UTF8.self))" }
        let more = pushes.count > named.count ? [", and \(pushes.count - named.count) more"] : []
        let instead = named.isEmpty ? "; nor has any other" : "; there is \(named.joined(separator: ", "))"
        self.init(description: "no push \(route) \(why)" + instead + more.joined())
    }
}
