package io.deploypipe;

import java.nio.charset.StandardCharsets;

/** What DeployException.kt is. */
final class DeployException extends RuntimeException {
    final int status;
    final String cure;

    DeployException(int status, byte[] message, byte[] cure) {
        super(new String(message, StandardCharsets.UTF_8));
        this.status = status;
        this.cure = new String(cure, StandardCharsets.UTF_8);
    }
}
