// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloLoop

/// A header of a request or an answer; names are compared without case.
public struct PluginHeader: Sendable, Hashable {
    /// As it is sent.
    public var name: String
    /// Without the spaces around it.
    public var value: String

    /// A header.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A request to a plugin, or of a caller, whole.
public struct PluginRequest: Sendable {
    /// In capitals.
    public var method: String
    /// Begins with `/`; the query with it.
    public var path: String
    /// In their order.
    public var headers: [PluginHeader]
    /// Empty without one.
    public var body: Bytes

    /// A request.
    public init(_ method: String, _ path: String, headers: [PluginHeader] = [], body: Bytes = Bytes()) {
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
    }
}

/// What a plugin answers, whole.
public struct PluginResponse: Sendable {
    /// 100 … 599.
    public var status: Int
    /// In their order.
    public var headers: [PluginHeader]
    /// Empty without one.
    public var body: Bytes

    /// An answer.
    public init(_ status: Int, headers: [PluginHeader] = [], body: Bytes = Bytes()) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

extension [PluginHeader] {
    /// The first value of a name.
    public subscript(name: String) -> String? {
        first { $0.name.utf8.count == name.utf8.count && $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Why a plugin gave no answer.
public enum PluginCallError: Error, Sendable, Hashable {
    /// No byte of the request has left: it was not executed.
    case unreachable(String)
    /// It may have been executed.
    case broken(String)
    /// It may have been executed, or may be yet.
    case timeout
    /// The answer has more bytes than were allowed.
    case tooLarge
    /// What came is no answer.
    case malformed(String)
}

/// Calls plugins; the seam to HTTP.
@Loop public protocol PluginCaller: AnyObject {
    /// Sends one request, once, and returns the whole answer, whatever its status.
    ///
    /// The base is `http://host:port`, and perhaps a path before that of the request; the limit is of bytes of the
    /// answer's body.
    func call(
        _ base: String, _ request: PluginRequest, within deadline: Duration, limit: Int
    ) async throws(PluginCallError) -> PluginResponse
}
