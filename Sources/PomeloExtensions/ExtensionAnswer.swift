// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloJSON

/// What an implementer answers: `{"ret", "msg", "data"}`.
public struct ExtensionAnswer: Sendable, Equatable {
    /// 0: it may go on; 1: it is dropped without a word; less than 0: it is refused; anything else is a failure.
    public var ret: Int
    /// Why it is refused, for whoever is refused.
    public var msg: String
    /// What is gone on with, in the place of the event's data; nil: with that.
    public var data: JSON?

    /// Puts the parts together.
    public init(ret: Int, msg: String = "", data: JSON? = nil) {
        self.ret = ret
        self.msg = msg
        self.data = data
    }

    /// It may go on as it is.
    public static let ok = ExtensionAnswer(ret: 0, msg: "ok")
    /// It ends here, and nobody is told.
    public static let drop = ExtensionAnswer(ret: 1)
    /// It may go on with other data: all of it, for the next implementer sees no other.
    public static func replace(_ data: JSON) -> ExtensionAnswer { ExtensionAnswer(ret: 0, msg: "ok", data: data) }
    /// It ends here, and whoever wanted it is told why.
    public static func refuse(_ msg: String, ret: Int = -1) -> ExtensionAnswer { ExtensionAnswer(ret: ret, msg: msg) }

    /// Reads an answer; `ret` and `msg` may also stand in an object `res`, and data that is null counts as none.
    ///
    /// - Source: tKeel's plugins answer in both forms, github.com/tkeel-io/tkeel.
    /// - Throws: `ExtensionFailure.badAnswer` when it is no object with a whole number `ret`.
    public init(_ json: JSON) throws(ExtensionFailure) {
        guard case .object(let whole) = json else { throw .badAnswer("it is no object") }
        let head = whole["ret"] == nil ? whole["res"]?.object ?? whole : whole
        guard let ret = head["ret"]?.int else { throw .badAnswer("it has no whole number as its ret") }
        self.init(ret: Int(clamping: ret), msg: head["msg"]?.string ?? "")
        if let data = whole["data"], !data.isNull { self.data = data }
    }

    /// As it is written: `{"ret", "msg"}`, and `data` where there is some.
    public var json: JSON {
        var object: JSONObject = ["ret": .init(ret), "msg": .string(msg)]
        if let data { object["data"] = data }
        return .object(object)
    }
}

/// Why an implementer's answer does not count.
public enum ExtensionFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// It could not be read, or means nothing.
    case badAnswer(String)
    /// Its data is larger than `ExtensionPoint.dataLimit`.
    case tooLarge
    /// It has as many calls under way as it may have.
    case busy
    /// The question's time was up.
    case late

    /// In words, for logs.
    public var description: String {
        switch self {
        case .badAnswer(let why): "bad answer: \(why)"
        case .tooLarge: "its data is too large"
        case .busy: "too many of its calls are under way"
        case .late: "no answer in time"
        }
    }
}
