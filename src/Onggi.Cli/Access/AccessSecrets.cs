using System.Security.Cryptography;
using System.Text;

namespace Onggi.Cli.Access;

/// <summary>Passwords in a folder, one file per user, readable by their owner only. Redis gets their digests.</summary>
/// <remarks>While a password is being changed there are two: the present one, and the next one beside it.</remarks>
internal sealed class AccessSecrets(string folder)
{
    private const string Next = ".next";
    private const int Bytes = 32;

    /// <summary>The folder.</summary>
    public string Folder => folder;

    /// <summary>Makes passwords for those of the users who have none.</summary>
    /// <returns>The users that got one.</returns>
    public IReadOnlyList<string> Generate(IEnumerable<AccessUser> users)
    {
        Directory.CreateDirectory(folder);
        var made = new List<string>();
        foreach (var user in users.Where(user => user.IsOn && !File.Exists(PathOf(user.Name))))
        {
            Write(PathOf(user.Name));
            made.Add(user.Name);
        }

        return made;
    }

    /// <summary>The digests of the user's passwords, the present one first.</summary>
    /// <exception cref="ToolException">There is none.</exception>
    public IReadOnlyList<string> DigestsOf(AccessUser user)
    {
        if (!user.IsOn)
            return [];
        var digests = new List<string> { Digest(PasswordOf(user.Name)) };
        if (HasNext(user.Name))
            digests.Add(Digest(Read(PathOf(user.Name) + Next)));
        return digests;
    }

    /// <summary>The user's password.</summary>
    /// <exception cref="ToolException">There is none.</exception>
    public string PasswordOf(string user) =>
        File.Exists(PathOf(user))
            ? Read(PathOf(user))
            : throw new ToolException($"{folder} holds no password of {user}. Make those that lack: onggi acl file --secrets {folder}.");

    /// <summary>Whether a change of the user's password has begun.</summary>
    public bool HasNext(string user) => File.Exists(PathOf(user) + Next);

    /// <summary>Makes a second password, which holds beside the first until <see cref="Promote"/>.</summary>
    public void Begin(string user)
    {
        PasswordOf(user);
        Write(PathOf(user) + Next);
    }

    /// <summary>Forgets the second password.</summary>
    public void Abandon(string user) => File.Delete(PathOf(user) + Next);

    /// <summary>From now on the second password is the only one.</summary>
    public void Promote(string user) => File.Move(PathOf(user) + Next, PathOf(user), overwrite: true);

    /// <summary>SHA-256 of a password, as an ACL file has it.</summary>
    public static string Digest(string password) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(password)));

    private string PathOf(string user) => Path.Combine(folder, user);

    private static string Read(string file)
    {
        var password = File.ReadAllText(file).Trim();
        return password.Length > 0 ? password : throw new ToolException($"{file} is empty and should hold a password.");
    }

    private static void Write(string file)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var writer = new StreamWriter(file, options);
        writer.Write(RandomNumberGenerator.GetHexString(2 * Bytes, lowercase: true));
    }
}
