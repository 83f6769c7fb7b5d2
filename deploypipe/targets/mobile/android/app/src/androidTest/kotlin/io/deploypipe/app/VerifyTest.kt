package io.deploypipe.app

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import io.deploypipe.Assets
import io.deploypipe.Model
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

/** The bundle proves itself on the device that runs this test. */
@RunWith(AndroidJUnit4::class)
class VerifyTest {
    @Test
    fun theBundleVerifies() {
        val context = InstrumentationRegistry.getInstrumentation().targetContext
        Model.open(Assets.bundle(context), context.cacheDir).use { model ->
            val verdict = model.verify()
            assertTrue(verdict.json, verdict.passed)
        }
    }
}
