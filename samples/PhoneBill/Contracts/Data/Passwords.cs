using System.Security.Cryptography;

namespace PhoneBill.Contracts;

/// <summary>Passwords as PBKDF2 hashes: <c>iterations.salt.hash</c>.</summary>
public static class Passwords
{
    private const int Iterations = 100_000;

    public static string Hash(string password) => Hash(password, RandomNumberGenerator.GetBytes(16), Iterations);

    public static bool Verify(string password, string stored)
    {
        var parts = stored.Split('.');
        var again = Hash(password, Convert.FromBase64String(parts[1]), int.Parse(parts[0]));
        return CryptographicOperations.FixedTimeEquals(Convert.FromBase64String(again.Split('.')[2]), Convert.FromBase64String(parts[2]));
    }

    private static string Hash(string password, byte[] salt, int iterations)
    {
        var hash = Rfc2898DeriveBytes.Pbkdf2(password, salt, iterations, HashAlgorithmName.SHA256, outputLength: 32);
        return $"{iterations}.{Convert.ToBase64String(salt)}.{Convert.ToBase64String(hash)}";
    }
}
