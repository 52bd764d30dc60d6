// SPDX-License-Identifier: MIT
import PomeloLoop

extension Application {
    /// A filter around calls to other servers: typed and named ones, and forwarded requests of clients.
    public func rpcFilter(_ filter: some RPCFilter) { rpc.filters.add(installed(filter)) }
    /// Only the before part of a filter, around calls to other servers.
    public func rpcBefore(_ filter: some RPCFilter) { rpc.filters.before(installed(filter)) }
    /// Only the after part of a filter, around calls to other servers.
    public func rpcAfter(_ filter: some RPCFilter) { rpc.filters.after(installed(filter)) }

    private func installed<Added: RPCFilter>(_ filter: Added) -> Added {
        filter.install(into: self)
        return filter
    }

    /// Maps the errors of this server's handlers and of the filters around them.
    public var errorHandler: ErrorHandler? {
        get { dispatcher.local.errorHandler }
        set { dispatcher.local.errorHandler = newValue }
    }

    /// Maps the errors of this frontend's requests: global filters', forwarding's, handlers'.
    ///
    /// - Source: pomelo 2.2.7 asks its `globalErrorHandler` about errors of global before-filters only.
    public var globalErrorHandler: ErrorHandler? {
        get { dispatcher.global.errorHandler }
        set { dispatcher.global.errorHandler = newValue }
    }

    /// Maps the errors of calls to other servers, those of the filters around them included.
    public var rpcErrorHandler: RPCErrorHandler? {
        get { rpc.filters.errorHandler }
        set { rpc.filters.errorHandler = newValue }
    }
}
