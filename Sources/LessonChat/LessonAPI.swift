// SPDX-License-Identifier: MIT
import Pomelo

/// What crosses a process boundary in a lesson.
enum LessonAPI {
    static let login = Call<Login, Answer>("connector.handler.login")
    static let send = Call<JSON, Answer>("chat.handler.send")
    static let join = Remote<Seat, Nothing>("chat.remote.join")
    /// What the servers must serve, each its own type's part.
    static let routes = [login.route, send.route, join.route]

    static let onJoin = Push<Member>("onJoin")
    static let onLeave = Push<Member>("onLeave")
    static let onMessage = Push<JSON>("onMessage")

    struct Login: Body {
        /// Text or number; goes back to clients as it came.
        var userId: JSON?
        var lessonId: JSON?
    }

    struct Answer: Body {
        var code: Int
        var message: String

        static let welcome = Answer(code: 0, message: "登录成功")
        static let missing = Answer(code: 1, message: "缺少参数")
        static let alreadyIn = Answer(code: 1, message: "用户已登录")
        static let notIn = Answer(code: 1, message: "用户未登录")
        static let sent = Answer(code: 0, message: "发送成功")
    }

    struct Member: Body { var userId: JSON }

    struct Seat: Body {
        var lesson: ChannelName
        var userId: JSON
        var frontend: ServerID
    }
}

extension JSON {
    /// The text that stands for an id in keys; nil for what is no id: absent, 0, empty.
    var idText: String? {
        switch self {
        case .string(let text): text.isEmpty ? nil : text
        case .int, .uint, .double: isTruthy ? String(decoding: encoded(), as: UTF8.self) : nil
        default: nil
        }
    }
}
