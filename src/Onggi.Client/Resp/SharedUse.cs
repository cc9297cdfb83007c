using System.Diagnostics.CodeAnalysis;

namespace Onggi.Client.Resp;

/// <summary>Keeps commands from the shared connections that would stop them, or change them, for everybody.</summary>
internal static class SharedUse
{
    // None that is refused has a shorter name: the commonest commands are not looked up.
    private const int ShortestRefused = 4;

    /// <exception cref="ArgumentException">The command holds up its connection, or changes it.</exception>
    public static void Require(ReadOnlySpan<RedisArg> command)
    {
        if (command.IsEmpty || command[0].Name.Length < ShortestRefused)
            return;
        var info = CommandTable.Find(command);
        if (info.ChangesConnection || info.Blocks(command))
            Refuse(info, nameof(command));
    }

    [DoesNotReturn]
    private static void Refuse(CommandInfo info, string argument)
    {
        var why = info.ChangesConnection ? "changes its connection" : "holds up its connection";
        throw new ArgumentException($"{info.Name} {why}, which all callers share. Send it on one of your own: LeaseAsync.", argument);
    }
}
