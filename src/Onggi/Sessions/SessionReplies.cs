using System.Text.Json;
using Onggi.Client;
using Onggi.Client.Resp;

namespace Onggi.Sessions;

/// <summary>What <c>sessioncreate.lua</c> says.</summary>
internal sealed record CreateReply(bool IsCreated, long Deadline, int Live, string[] Evicted, byte[][] Entries);

/// <summary>What <c>sessionrotate.lua</c> says.</summary>
internal sealed record RotateReply(int Code, long Deadline, byte[][] Entries);

/// <summary>What <c>sessionrevoke.lua</c> says.</summary>
internal sealed record RevokeReply(string[] Handles, byte[][] Entries, long Expired);

/// <summary>What <c>sessionlook.lua</c> says.</summary>
internal sealed record LookReply(string[] Due, byte[][] Entries, long LeftMs, long Sessions);

/// <summary>What <c>sessionreap.lua</c> says.</summary>
internal sealed record ReapReply(long Ended, byte[][] Entries);

/// <summary>Reads the scripts' replies.</summary>
internal static class SessionReplies
{
    public static readonly ReplyParser<CreateReply> Created = static (ref reader) =>
    {
        var code = NextNumber(ref reader);
        var deadline = NextNumber(ref reader);
        var live = NextNumber(ref reader);
        return new CreateReply(code == 1, deadline, (int)live, NextTexts(ref reader), NextEntries(ref reader));
    };

    public static readonly ReplyParser<RotateReply> Rotated = static (ref reader) =>
    {
        var code = (int)NextNumber(ref reader);
        return code == 1 ? new RotateReply(code, NextNumber(ref reader), NextEntries(ref reader)) : new RotateReply(code, 0, []);
    };

    public static readonly ReplyParser<RevokeReply> Revoked = static (ref reader) =>
        new RevokeReply(NextTexts(ref reader), NextEntries(ref reader), NextNumber(ref reader));

    public static readonly ReplyParser<SessionSave> Saved = static (ref reader) =>
    {
        var count = reader.Count;
        var outcome = (SessionSaveOutcome)NextNumber(ref reader);
        return new SessionSave(outcome, count > 1 ? NextNumber(ref reader) : 0);
    };

    public static readonly ReplyParser<LookReply> Looked = static (ref reader) =>
        new LookReply(NextTexts(ref reader), NextEntries(ref reader), NextNumber(ref reader), NextNumber(ref reader));

    public static readonly ReplyParser<ReapReply> Reaped = static (ref reader) =>
        new ReapReply(NextNumber(ref reader), NextEntries(ref reader));

    public static readonly ReplyParser<SessionSummary[]> Listed = static (ref reader) =>
    {
        var list = new SessionSummary[reader.Count / 5];
        for (var i = 0; i < list.Length; i++)
        {
            reader.Read();
            var handle = reader.ReadString()!;
            var deadline = NextTime(ref reader);
            var created = NextTime(ref reader);
            var seen = NextTime(ref reader);
            reader.Read();
            list[i] = new SessionSummary(handle, reader.ReadString()!, created, seen, deadline);
        }

        return list;
    };

    /// <summary>The handle is the caller's: it need not come back over the wire.</summary>
    public static readonly ReplyParser<string, Session?> Touched = static (handle, ref reader) =>
    {
        var code = NextNumber(ref reader);
        if (code == 0)
            return null;
        var deadline = NextTime(ref reader);
        var created = NextTime(ref reader);
        var seen = NextTime(ref reader);
        var version = NextNumber(ref reader);
        reader.Read();
        var user = reader.ReadString()!;
        reader.Read();
        var device = reader.ReadString()!;
        reader.Read();
        var roles = ReadRoles(reader.ReadSpan());
        reader.Read();
        return new Session
        {
            Handle = handle,
            User = user,
            Device = device,
            Roles = roles,
            Data = reader.IsNull || reader.Value.IsEmpty ? default(ReadOnlyMemory<byte>) : reader.ReadBytes(),
            Version = version,
            CreatedAt = created,
            LastSeenAt = seen,
            ExpiresAt = deadline,
            IsSuperseded = code == 2,
        };
    };

    private static long NextNumber(ref RespReader reader)
    {
        reader.Read();
        return reader.ReadInt64();
    }

    private static DateTimeOffset NextTime(ref RespReader reader) => DateTimeOffset.FromUnixTimeMilliseconds(NextNumber(ref reader));

    private static string[] NextTexts(ref RespReader reader)
    {
        reader.Read();
        return ReplyParsers.ReadArray(ref reader, static (ref item) => item.ReadString()!);
    }

    private static byte[][] NextEntries(ref RespReader reader)
    {
        reader.Read();
        return ReplyParsers.ReadArray(ref reader, static (ref item) => item.ReadBytes()!);
    }

    private static string[] ReadRoles(ReadOnlySpan<byte> json)
    {
        if (json.IsEmpty || json.SequenceEqual("[]"u8))
            return [];
        var reader = new Utf8JsonReader(json);
        var roles = new List<string>();
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.String)
            roles.Add(reader.GetString()!);
        return [.. roles];
    }
}
