// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloGlobalChannel

/// On the connector: who comes into a lesson.
struct LoginHandler: Handler {
    let app: Application

    init(app: Application) {
        self.app = app
        app.sessionService.on { [app] event in
            guard case .closed(let session, _) = event, let uid = session.uid,
                let userId = session.settings["userId"], let lesson = session.settings["lessonId"]?.idText
            else { return }
            Loop.spawn { await Self.announceLeave(of: uid, userId, from: ChannelName(lesson), app) }
        }
    }

    var routes: [ServedRoute] { on(LessonAPI.login, login) }

    func login(_ query: LessonAPI.Login, _ session: Session) async throws -> LessonAPI.Answer {
        guard let userId = query.userId, let user = userId.idText,
            let lessonId = query.lessonId, let lesson = lessonId.idText
        else { return .missing }
        guard session.uid == nil else { return .alreadyIn }
        do {
            try await session.bind(UserID(user))
        } catch let error as PomeloError where error.code == .binding {
            return .alreadyIn
        }
        session.set("userId", userId)
        session.set("lessonId", lessonId)
        try await session.pushAll()
        let seat = LessonAPI.Seat(lesson: ChannelName(lesson), userId: userId, frontend: session.frontend)
        try await app.rpc.call(LessonAPI.join, seat, for: session)
        return .welcome
    }

    /// Tells the others, unless the user is in the lesson by another connector already.
    static func announceLeave(of uid: UserID, _ userId: JSON, from lesson: ChannelName, _ app: Application) async {
        guard let gone = await app.globalChannel.absence(of: uid, from: lesson) else { return }
        do {
            try await app.globalChannel.tell("connector", LessonAPI.onLeave, gone) { _ in .init(userId: userId) }
        } catch {
            app.log.error("onLeave: \(error)")
        }
    }
}

/// On the chat servers: what is said in a lesson.
struct LessonHandler: Handler {
    let app: Application

    var routes: [ServedRoute] {
        on(LessonAPI.send, send)
        on(LessonAPI.join, join)
    }

    func send(_ message: JSON, _ session: Session) async throws -> LessonAPI.Answer {
        guard let userId = session.get("userId"), let lesson = session.get("lessonId")?.idText else { return .notIn }
        var body = message.object ?? JSONObject()
        body["userId"] = userId
        try await app.globalChannel.pushMessage(
            "connector", LessonAPI.onMessage, .object(body), ChannelName(lesson))
        return .sent
    }

    func join(_ seat: LessonAPI.Seat) async throws {
        guard let user = seat.userId.idText else { throw Fault(500) }
        try await app.globalChannel.add(seat.lesson, UserID(user), seat.frontend)
        try await app.globalChannel.pushMessage(
            "connector", LessonAPI.onJoin, .init(userId: seat.userId), seat.lesson, arrival: UserID(user))
    }
}
