// SPDX-License-Identifier: MIT
import PomeloLoop

/// The head of a request that has arrived.
public struct PluginHead: Sendable {
    /// In capitals.
    public let method: String
    /// Begins with `/`; the query with it, percent-encoding as it came.
    public let path: String
    /// In their order.
    public let headers: [PluginHeader]

    /// A head.
    public init(_ method: String, _ path: String, headers: [PluginHeader]) {
        self.method = method
        self.path = path
        self.headers = headers
    }
}

/// What becomes of a request.
public enum PluginDecision: Sendable {
    /// Answered at once.
    case answer(PluginResponse)
    /// Its whole body is read, up to so many bytes, and what the closure returns is the answer.
    case work(limit: Int, @Loop @Sendable (PluginRequest) async -> PluginResponse)
    /// Sent on, both bodies as they come.
    case forward(PluginForward)
}

/// A request that is sent on to a plugin.
public struct PluginForward: Sendable {
    /// `http://host:port`, and perhaps a path before that of the request.
    public let base: String
    /// In capitals.
    public let method: String
    /// With the query.
    public let path: String
    /// All that are sent; what the connection and the body need is added.
    public let headers: [PluginHeader]
    /// For all of it.
    public let deadline: Duration
    /// Bytes of a body, either way.
    public let bodyLimit: Int
    /// Dials, a second apart, as long as no byte was sent.
    public let attempts: Int
    /// Called once, when it is over.
    public let finished: @Loop @Sendable (PluginOutcome) -> Void
    /// What the caller is answered when no answer of the plugin has begun.
    public let failure: @Sendable (PluginOutcome) -> PluginResponse
}

/// How a request that was sent on has ended.
public enum PluginOutcome: Sendable, Hashable {
    /// With the plugin's answer, whole.
    case answered(status: Int)
    /// No byte of it was sent.
    case unreachable
    /// In the middle.
    case broken
    /// Not within its deadline.
    case timedOut
    /// The caller's body was too large.
    case requestTooLarge
    /// The plugin's body was too large.
    case responseTooLarge
    /// The caller went away.
    case abandoned
}
