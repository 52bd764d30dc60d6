// SPDX-License-Identifier: MIT
#if Keel
    public import PomeloLoop
    public import PomeloPlugins

    /// Decides what becomes of requests: what stands between the HTTP server and the rest of the host.
    @Loop public protocol KeelDesk: AnyObject, Sendable {
        /// What becomes of a request, whose head alone is known; called once for each.
        func decide(_ head: PluginHead) async -> PluginDecision
        /// The answer to a request that came to nothing, unless its decision has one; none of an answer was sent yet.
        func failure(_ outcome: PluginOutcome) -> PluginResponse
    }
#endif
