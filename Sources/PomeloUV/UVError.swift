// SPDX-License-Identifier: MIT
import CLibuv
package import PomeloLoop

extension NetworkError {
    /// libuv's name and text for a negative status; `detail` is what the reason alone has to say besides.
    package init(status: Int32, _ what: String, _ remark: String? = nil, detail: String? = nil) {
        let why = "\(Self.text(status)) (\(Self.name(status)))\(remark.map { ", " + $0 } ?? "")"
        let reason = detail.map { "\($0): \(why)" } ?? why
        self.init(code: Self.name(status), description: "\(what): \(why)", reason: reason)
    }

    static func name(_ status: Int32) -> String { unsafe String(cString: uv_err_name(status)) }
    static func text(_ status: Int32) -> String { unsafe String(cString: uv_strerror(status)) }
}

/// The running loop's libuv side; absent under the manual driver, where no kernel I/O exists.
@Loop func requireDriver() throws(NetworkError) -> UVDriver {
    guard let driver = EventLoop.shared.uv else {
        throw NetworkError(code: "ENOSYS", description: "the manual loop driver has no sockets")
    }
    return driver
}
